"""Events on their way, as chunks of an open recording.

A deck closes a recording that is idle, old or large; another one is opened then, and takes what is left.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import zstandard

from app.client import Client, Refused
from app.recording_file import ZSTD_LEVEL, Upload, started_at
from app.wrappers import BadFile, unwrap
from replay.envelope import NAME_MAX


class LiveUpload:
    """Opens a recording with the first events, and appends what follows, each event once. `on_open` hears of each recording,
    and whether another one came before it.

    `ids`: the recordings so far, of which only the last one may be open. `events`, `chunks`: what the deck has.
    """

    def __init__(
        self, client: Client, name: str | None, project_id: UUID | None, on_open: Callable[[UUID, bool], None]
    ) -> None:
        self._client = client
        self._members = {"name": name and name[:NAME_MAX], "project_id": project_id}
        self._on_open = on_open
        self._seq = 0
        self.ids: list[UUID] = []
        self.events = self.chunks = 0

    def send(self, events: Sequence[bytes]) -> None:
        """These are durable when this returns. Raises Refused, Unreachable."""
        if not self.ids:
            self._open(events)
        try:
            self._append(events)
        except Refused as error:
            if error.code != "recording_closed" or self._seq == 0:
                raise
            self._open(events)
            self._append(events)

    def finish(self) -> None:
        """That was all. Raises Refused, Unreachable."""
        if self.ids:
            self._client.finish(self.ids[-1])

    def _open(self, events: Sequence[bytes]) -> None:
        began = started_at(_time_ms(events[0]), datetime.now(UTC))
        members: dict[str, object] = {**self._members, "started_at": began, "open": True, "events": []}
        body = msgspec.json.encode({name: value for name, value in members.items() if value is not None})
        upload = Upload(zstandard.compress(body, ZSTD_LEVEL), len(body), 0, f"follow-{uuid4()}")
        self.ids.append(self._client.create(upload, lambda _: None).id)
        self._seq = 0
        self._on_open(self.ids[-1], len(self.ids) > 1)

    def _append(self, events: Sequence[bytes]) -> None:
        chunk = b'{"seq":%d,"events":[%b]}' % (self._seq, b",".join(events))
        self._client.append(self.ids[-1], zstandard.compress(chunk, ZSTD_LEVEL))
        self._seq += 1
        self.chunks += 1
        self.events += len(events)


def _time_ms(event: bytes) -> float | None:
    try:
        return unwrap(bytearray(event)).first_ms
    except BadFile:
        return None
