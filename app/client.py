"""A deck's recordings API, for commands: a method for each thing that they ask.

Blocking: a command does one thing at a time, and a person waits for it.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple, Self
from uuid import UUID

import httpx
import msgspec

from app.answers import Refused as Refused
from app.answers import Unreachable as Unreachable
from app.answers import decoded, retry_after_s, unbroken
from app.asking import Asking
from app.recording_file import Upload
from replay.privacy import Rules

API = "/api/v1/recordings"
ERASURES = "/api/v1/erasures"
TERMINAL = ("ready", "failed")
PAGE_MAX = 100
HOLD_S = 20  # how long one request for a status may wait for its change

_CHUNK = 64 * 1024
_POLL_S = 1.0


class Created(NamedTuple):
    """A recording that was accepted; `replayed`: an earlier request with this key had made it.

    `video_upload_url`: where its video is awaited; None when none is, or not any more.
    """

    id: UUID
    status: str
    replayed: bool
    video_upload_url: str | None = None


class _Page(msgspec.Struct):
    """Some recordings, newest first; `next_cursor` while there are more."""

    recordings: list[dict[str, Any]]
    next_cursor: UUID | None


class Client:
    """One deck and one API key. Use as a context manager. Every method raises Refused and Unreachable.

    `patience_s` and `on_wait` are as `app.asking` has them. Every request may be sent twice: none has its effect twice.
    """

    def __init__(
        self, url: str, api_key: str, *, patience_s: float, on_wait: Callable[[str, float], None]
    ) -> None:
        self.url = url
        self._deck = Asking(url, api_key, patience_s=patience_s, on_wait=on_wait)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._deck.close()

    def create(self, upload: Upload, progress: Callable[[int], None]) -> Created:
        """Send a recording. `progress` hears how many bytes of the body are out."""
        headers = {
            "Content-Type": "application/json",
            "Content-Encoding": "zstd",
            "Content-Length": str(len(upload.body)),
            "Idempotency-Key": upload.idempotency_key,
        }
        answer = self._send("POST", "", headers=headers, content=lambda: _chunks(upload.body, progress))
        made = decoded(answer, _Made)
        return Created(made.id, made.status, "Idempotency-Replayed" in answer.headers, made.video_upload_url)

    def append(self, recording_id: UUID, chunk: bytes) -> None:
        """Add a chunk, zstd-compressed, to an open recording. Refused as `recording_closed` when it is open no more."""
        headers = {"Content-Type": "application/json", "Content-Encoding": "zstd"}
        self._send(
            "POST",
            f"/{recording_id}/events",
            headers=headers | {"Content-Length": str(len(chunk))},
            content=lambda: iter((chunk,)),
        )

    def finish(self, recording_id: UUID) -> None:
        """Close an open recording."""
        self._send("POST", f"/{recording_id}/finish")

    def put_video(self, url: str, video: BinaryIO, size: int, progress: Callable[[int], None]) -> None:
        """PUT a video to its upload URL, straight to storage. Refused also when that URL has expired."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        with self._deck.storage("PUT", url, headers=headers, content=lambda: _from_start(video, progress)):
            pass

    def video_upload_url(self, recording_id: UUID) -> str:
        """A fresh URL for the video of a recording."""
        answer = self._send("POST", f"/{recording_id}/video-upload-url")
        return decoded(answer, _Renewed).video_upload_url

    def confirm_video(self, recording_id: UUID) -> dict[str, Any]:
        """Say that the video is uploaded; the recording as it is then."""
        return decoded(self._send("POST", f"/{recording_id}/confirm-video"), dict[str, Any])

    @contextmanager
    def video(self, recording_id: UUID) -> Iterator[Iterator[bytes]]:
        """The chunks of a recording's video, straight from storage."""
        url = self._send("GET", f"/{recording_id}/video", redirect=True).headers["Location"]
        with self._deck.storage("GET", url, stream=True) as answer:
            yield unbroken(answer)

    def recording(self, recording_id: UUID) -> dict[str, Any]:
        """A recording as it is now."""
        return decoded(self._send("GET", f"/{recording_id}"), dict[str, Any])

    def follow(self, recording_id: UUID) -> Iterator[dict[str, Any]]:
        """A recording as it is now, and again whenever its status may have changed; the last one is terminal."""
        while True:
            answer = self._send("GET", f"/{recording_id}", headers={"Prefer": f"wait={HOLD_S}"})
            recording = decoded(answer, dict[str, Any])
            yield recording
            if recording.get("status") in TERMINAL:
                return
            if "Preference-Applied" not in answer.headers:  # else the deck did the waiting
                time.sleep(retry_after_s(answer) or _POLL_S)

    def recordings(self, filters: dict[str, str], limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Recordings, newest first, at most `limit`: asked for page by page."""
        cursor, left = None, limit
        while left is None or left > 0:
            size = PAGE_MAX if left is None else min(left, PAGE_MAX)
            params = filters | {"limit": str(size)} | ({"cursor": str(cursor)} if cursor else {})
            page = decoded(self._send("GET", "", params=params), _Page)
            yield from page.recordings
            cursor = page.next_cursor
            if cursor is None:
                return
            if left is not None:
                left -= len(page.recordings)

    @contextmanager
    def events(self, recording_id: UUID, cut: dict[str, str], *, ndjson: bool) -> Iterator[Iterator[bytes]]:
        """The chunks of a recording's events, decompressed. `cut`: from_ms, to_ms, align."""
        accept = "application/x-ndjson" if ndjson else "application/json"
        with self._streamed(f"/{recording_id}/events", params=cut, headers={"Accept": accept}) as chunks:
            yield chunks

    @contextmanager
    def logs(self, recording_id: UUID) -> Iterator[Iterator[bytes]]:
        """The chunks of a recording's logs, a JSON object."""
        with self._streamed(f"/{recording_id}/logs") as chunks:
            yield chunks

    def mask(self, recording_id: UUID, rules: Rules) -> None:
        """Have a recording masked by these rules and its project's policy, for good."""
        self._send("POST", f"/{recording_id}/mask", json={"rules": msgspec.to_builtins(rules)})

    def try_mask(self, recording_id: UUID, rules: Rules) -> dict[str, Any]:
        """What that would mask: `masked`, counts by rule, and the first `places`."""
        order = {"rules": msgspec.to_builtins(rules), "dry_run": True}
        return decoded(self._send("POST", f"/{recording_id}/mask", json=order), dict[str, Any])

    def until_masked(self, recording_id: UUID) -> str:
        """`done`, or `failed`, as soon as nothing that was asked for is pending."""
        while True:
            answer = self._send("GET", f"/{recording_id}/mask")
            masking = decoded(answer, _Masking).masking
            if masking != "pending":
                return masking
            time.sleep(retry_after_s(answer) or _POLL_S)

    def relate(self, recording_id: UUID) -> dict[str, Any]:
        """Have a recording's events written as rows. Returns its id and status."""
        return decoded(self._send("POST", f"/{recording_id}/relate"), dict[str, Any])

    def delete(self, recording_id: UUID) -> None:
        """Delete a recording."""
        self._send("DELETE", f"/{recording_id}")

    def hold(self, recording_id: UUID) -> None:
        """Put a recording on hold."""
        self._send("PUT", f"/{recording_id}/hold")

    def release(self, recording_id: UUID) -> None:
        """Release a recording."""
        self._send("DELETE", f"/{recording_id}/hold")

    def erase(self, subject: Mapping[str, str], *, dry_run: bool = False) -> dict[str, Any]:
        """Ask for an erasure of this subject; with `dry_run` what it would find."""
        request = {**subject, "dry_run": dry_run}
        return decoded(self._deck.ask("POST", ERASURES, json=request), dict[str, Any])

    def erasure(self, erasure_id: UUID, cursor: str | None = None) -> dict[str, Any]:
        """How far an erasure is; once it is done its certificate, with the page of recordings from `cursor` on."""
        params = {"cursor": cursor} if cursor else {}
        answer = self._deck.ask("GET", f"{ERASURES}/{erasure_id}", params=params)
        return decoded(answer, dict[str, Any])

    def retry(self, recording_id: UUID) -> None:
        """Put a failed recording back to work."""
        self._send("POST", f"/{recording_id}/retry")

    @contextmanager
    def _streamed(self, path: str, **request: Any) -> Iterator[Iterator[bytes]]:
        answer = self._send("GET", path, stream=True, **request)
        try:
            yield unbroken(answer)
        finally:
            answer.close()

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        return self._deck.ask(method, API + path, **request)


class _Made(msgspec.Struct):
    id: UUID
    status: str
    video_upload_url: str | None = None


class _Renewed(msgspec.Struct):
    video_upload_url: str


class _Masking(msgspec.Struct):
    masking: str


def _chunks(body: bytes, progress: Callable[[int], None]) -> Iterator[bytes]:
    for start in range(0, len(body), _CHUNK):
        progress(start)
        yield body[start : start + _CHUNK]
    progress(len(body))


def _from_start(file: BinaryIO, progress: Callable[[int], None]) -> Iterator[bytes]:
    file.seek(0)
    sent = 0
    while chunk := file.read(_CHUNK):
        yield chunk
        sent += len(chunk)
        progress(sent)
