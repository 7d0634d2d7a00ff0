"""The index of a tape: where its parts lie, what they hold, and where a playable read may start."""

from typing import NamedTuple

import msgspec

VERSION = 1


class BadIndex(Exception):
    """Bytes that are no index, or one of a version this code does not know."""


class Part(NamedTuple):
    """Events that are compressed together. Times are the first and the last event's, in ms, as in the events."""

    offset: int  # of the stored bytes, from the start of the object
    length: int  # of the stored bytes
    crc32c: int  # of the stored bytes
    json_bytes: int  # of the events, joined by commas
    events: int
    first_time: float
    last_time: float

    @property
    def end(self) -> int:
        return self.offset + self.length


class Snapshot(NamedTuple):
    """A full snapshot at `time` (ms), playable from event `event` of part `part`: the Meta before it, or itself."""

    time: float
    part: int
    event: int


class Index(msgspec.Struct, frozen=True):
    """What a reader needs to know of a tape. `frame_bytes` is the length of its zstd frame, which is what is served."""

    version: int
    frame_bytes: int
    parts: tuple[Part, ...]
    snapshots: tuple[Snapshot, ...]

    @property
    def events(self) -> int:
        return sum(part.events for part in self.parts)

    @property
    def first_time(self) -> float:
        """ms; 0 for a tape without events. Cuts count from here."""
        return self.parts[0].first_time if self.parts else 0.0

    @property
    def last_time(self) -> float:
        return self.parts[-1].last_time if self.parts else 0.0

    def encode(self) -> bytes:
        """JSON: readable without this code for as long as the object lives."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, data: bytes, *, snapshots: bool = True) -> "Index":
        """Raises BadIndex. Without `snapshots` there are none in it: they may be many, and only some reads ask for them."""
        try:
            index = _decoder.decode(data) if snapshots else _parts.decode(data).index()
        except msgspec.DecodeError as error:
            raise BadIndex(str(error)) from None
        if index.version != VERSION:
            raise BadIndex(f"version {index.version} is not known")
        return index


class _Parts(msgspec.Struct):
    """All of an index but its snapshots."""

    version: int
    frame_bytes: int
    parts: tuple[Part, ...]

    def index(self) -> Index:
        return Index(self.version, self.frame_bytes, self.parts, ())


_decoder = msgspec.json.Decoder(Index)
_parts = msgspec.json.Decoder(_Parts)
