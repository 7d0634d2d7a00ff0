"""A deck's recordings API, for commands: `httpx`, patience, and errors that say what to do.

Blocking: a command does one thing at a time, and a person waits for it.

- `Refused`: the deck answered and said no.
- `Unreachable`: nobody answered, or the answer broke off, or the deck was too busy for longer than we were told to wait.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, NamedTuple, Self, TypeVar
from uuid import UUID

import httpx
import msgspec

from app.exits import REFUSED, UNREACHABLE, Exit
from app.recording_file import Upload

API = "/api/v1/recordings"
TERMINAL = ("ready", "failed")
HOLD_S = 20  # how long one request for a status may wait for its change

T = TypeVar("T")

_CHUNK = 64 * 1024
_TIMEOUT = httpx.Timeout(60, connect=5)
_FIRST_DELAY_S, _MAX_DELAY_S, _POLL_S = 0.25, 10.0, 1.0
_BUSY = (429, 502, 503, 504)
_BUSY_CODES = ("idempotency_in_progress",)
_HINTS: dict[str | int, str] = {
    401: "is the API key right? See --api-key",
    403: "use a key with the scope that this takes",
    404: "deleted, never there, or of another tenant",
    413: "send it in parts, or raise TAPEDECK_MAX_BODY_BYTES or TAPEDECK_MAX_EVENTS_BYTES on the deck",
    "project_not_found": "see --project",
    "idempotency_key_reused": "send it with --again",
    "not_ready": "wait for it with `tapedeck show --wait`",
    "recording_failed": "see `tapedeck show`; `tapedeck retry` puts it back to work",
    "not_failed": "only a failed recording can be retried",
}


class _FieldError(msgspec.Struct):
    field: str
    message: str


class _Problem(msgspec.Struct):
    """RFC 9457, with `code` and `errors` as API.md has them."""

    title: str = ""
    detail: str = ""
    code: str = ""
    errors: list[_FieldError] = []


class Refused(Exit):
    """The deck said no: one line that names the field, where there is one, and the way out. `code` as in API.md."""

    status = REFUSED

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Unreachable(Exit):
    """No whole answer."""

    status = UNREACHABLE
    code = "unreachable"


class Created(NamedTuple):
    """A recording that was accepted; `replayed`: an earlier request with this key had made it."""

    id: UUID
    status: str
    replayed: bool


class Page(msgspec.Struct):
    """Some recordings, newest first; `next_cursor` while there are more."""

    recordings: list[dict[str, Any]]
    next_cursor: UUID | None


class Client:
    """One deck and one API key. Use as a context manager. Every method raises Refused and Unreachable.

    `patience_s`: how long the deck may be away (connection refused or lost) or busy (429, 503) before a request gives
    up. `on_wait` hears why it waits, and for how many seconds. Every request may be sent twice: none has its effect twice.
    """

    def __init__(
        self, url: str, api_key: str, *, patience_s: float, on_wait: Callable[[str, float], None]
    ) -> None:
        self.url = url
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {api_key}", "Accept-Encoding": "zstd, gzip"},
            timeout=_TIMEOUT,
            trust_env=not _is_loopback(url),  # a company's proxy knows nothing of this machine
        )
        self._patience_s = patience_s
        self._on_wait = on_wait
        self._away_since: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def create(self, upload: Upload, progress: Callable[[int], None]) -> Created:
        """Send a recording. `progress` hears how many bytes of the body are out."""
        headers = {
            "Content-Type": "application/json",
            "Content-Encoding": "zstd",
            "Content-Length": str(len(upload.body)),
            "Idempotency-Key": upload.idempotency_key,
        }
        answer = self._send("POST", "", headers=headers, content=lambda: _chunks(upload.body, progress))
        made = _decoded(answer, _Made)
        return Created(made.id, made.status, "Idempotency-Replayed" in answer.headers)

    def recording(self, recording_id: UUID) -> dict[str, Any]:
        """A recording as it is now."""
        return _decoded(self._send("GET", f"/{recording_id}"), dict[str, Any])

    def follow(self, recording_id: UUID) -> Iterator[dict[str, Any]]:
        """A recording as it is now, and again whenever its status may have changed; the last one is terminal."""
        while True:
            answer = self._send("GET", f"/{recording_id}", headers={"Prefer": f"wait={HOLD_S}"})
            recording = _decoded(answer, dict[str, Any])
            yield recording
            if recording.get("status") in TERMINAL:
                return
            if "Preference-Applied" not in answer.headers:  # else the deck did the waiting
                time.sleep(_retry_after_s(answer) or _POLL_S)

    def page(self, filters: dict[str, str], limit: int, cursor: UUID | None) -> Page:
        """At most `limit` (1 to 100) recordings, from `cursor` on."""
        params = filters | {"limit": str(limit)} | ({"cursor": str(cursor)} if cursor else {})
        return _decoded(self._send("GET", "", params=params), Page)

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

    def delete(self, recording_id: UUID) -> None:
        """Delete a recording."""
        self._send("DELETE", f"/{recording_id}")

    def retry(self, recording_id: UUID) -> None:
        """Put a failed recording back to work."""
        self._send("POST", f"/{recording_id}/retry")

    @contextmanager
    def _streamed(self, path: str, **request: Any) -> Iterator[Iterator[bytes]]:
        answer = self._send("GET", path, stream=True, **request)
        try:
            yield _unbroken(answer)
        finally:
            answer.close()

    def _send(
        self,
        method: str,
        path: str,
        *,
        content: Callable[[], Iterator[bytes]] | None = None,
        stream: bool = False,
        **request: Any,
    ) -> httpx.Response:
        """The answer to a request, which is made anew for each attempt; its body is read unless it is to `stream`."""
        delay_s = _FIRST_DELAY_S
        while True:
            body = content() if content else None
            try:
                answer = self._http.send(
                    self._http.build_request(method, API + path, content=body, **request), stream=True
                )
                if not (stream and answer.is_success):
                    answer.read()
            except httpx.RequestError as error:
                reason, pause_s = f"cannot reach {self.url}: {error or type(error).__name__}", None
            else:
                if answer.is_success:
                    self._away_since = None
                    return answer
                refused = _refused(answer)
                if answer.status_code not in _BUSY and refused.code not in _BUSY_CODES:
                    self._away_since = None
                    raise refused
                reason, pause_s = str(refused), _retry_after_s(answer)
            self._wait(reason, pause_s if pause_s is not None else delay_s * random.uniform(0.5, 1))  # noqa: S311 (jitter)
            delay_s = min(2 * delay_s, _MAX_DELAY_S)

    def _wait(self, reason: str, seconds: float) -> None:
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
        if now + seconds > self._away_since + self._patience_s:
            raise Unreachable(reason)
        self._on_wait(reason, seconds)
        time.sleep(seconds)


class _Made(msgspec.Struct):
    id: UUID
    status: str


def _is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _chunks(body: bytes, progress: Callable[[int], None]) -> Iterator[bytes]:
    for start in range(0, len(body), _CHUNK):
        progress(start)
        yield body[start : start + _CHUNK]
    progress(len(body))


def _unbroken(answer: httpx.Response) -> Iterator[bytes]:
    try:
        yield from answer.iter_bytes()
    except httpx.RequestError as error:
        raise Unreachable(f"the answer broke off: {error or type(error).__name__}") from None


def _decoded(answer: httpx.Response, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.content, type=shape)
    except msgspec.DecodeError:
        raise Refused("not_a_deck", f"{answer.url} does not answer like a deck: is the URL right?") from None


def _refused(answer: httpx.Response) -> Refused:
    try:
        problem = msgspec.json.decode(answer.content, type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem()
    what = (
        "; ".join(f"{error.field}: {error.message}" for error in problem.errors)
        or problem.detail
        or problem.title
    )
    status = answer.status_code
    if location := answer.is_redirect and answer.headers.get("Location"):
        what = what or f"moved to {location}"
    what = "".join(c if c.isprintable() else " " for c in what or f"{status} {answer.reason_phrase}").strip()
    hint = _HINTS.get(problem.code) or _HINTS.get(status)
    return Refused(problem.code or f"http_{status}", f"{what} ({hint})" if hint else what)


def _retry_after_s(answer: httpx.Response) -> float | None:
    """RFC 9110, 10.2.3: seconds, or a date."""
    value = answer.headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
