"""Uploads of a given size for `benchmarks.process`: recordings, repeated with later and later timestamps."""

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import zstandard

from app.checking import COMPRESSION
from replay import splice, surrogates

MB = 1_000_000
BIG_EVENT_BYTES = 20 * MB
FIXTURES = Path(__file__).parents[1] / "tests" / "fixtures" / "recordings"
NAMES = ("everything.json", "flood.json.gz", "login.json", "shop.json", "tabs.json", "activity.json")
REPETITION_MS = 60_000


class Upload(NamedTuple):
    """One upload as both ends know it: the JSON that was sent, and the payload that is kept."""

    json: Path
    payload: Path
    events: int
    bytes: int


class Sent(NamedTuple):
    """An event as it was recorded: its JSON, where its timestamp stands, and the timestamp in ms."""

    event: bytes
    timestamp: splice.Member
    ms: float


def write(folder: Path, recordings: Sequence[Path], size: int, *, big_event: bool = False) -> Upload:
    """An upload of at least `size` bytes, made from these arrays of rrweb events (plain or .gz; none: the project's own).

    With `big_event`, a single event of 20 MB stands in its middle.
    """
    upload = Upload(folder / "upload.json", folder / "payload", 0, 0)
    compressor = zstandard.ZstdCompressor(compression_params=COMPRESSION).compressobj()
    count = written = 0
    with upload.json.open("wb") as plain, upload.payload.open("wb") as packed:
        for piece in _pieces([read(path) for path in recordings or _own()], size, big_event):
            plain.write(piece)
            packed.write(compressor.compress(piece))
            count += 1
            written += len(piece)
        packed.write(compressor.flush())
    return upload._replace(events=count - 2, bytes=written)


def _own() -> list[Path]:
    return [FIXTURES / name for name in NAMES]


def _pieces(recordings: list[list[Sent]], size: int, big_event: bool) -> Iterator[bytes]:
    yield b'{"started_at":"2026-05-04T10:00:00Z","events":['
    comma = b""
    for event in _events(recordings, size, big_event):
        yield comma + event
        comma = b","
    yield b"]}"


def _events(recordings: list[list[Sent]], size: int, big_event: bool) -> Iterator[bytes]:
    written, later = 0, 0
    while written < size:
        for recording in recordings:
            for event, timestamp, ms in recording:
                shifted = splice.replace(event, {timestamp: str(ms + later).encode()})
                written += len(shifted) + 1
                yield shifted
        later += REPETITION_MS
        if big_event and written > size // 2:
            big_event = False
            written += BIG_EVENT_BYTES
            yield _big_event(recordings, later)


def read(path: Path) -> list[Sent]:
    """The events of a JSON array, plain or .gz."""
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    events = []
    for raw in surrogates.decode(msgspec.json.Decoder(list[msgspec.Raw]), text):
        event = bytes(raw)
        place = splice.members(event)["timestamp"]
        events.append(Sent(event, place, json.loads(event[place.start : place.end])))
    return events


def _big_event(recordings: list[list[Sent]], later: int) -> bytes:
    """A custom event whose payload is real JSON of that size."""
    event = max((sent.event for recording in recordings for sent in recording), key=len)
    copies = BIG_EVENT_BYTES // len(event)
    return b'{"type":5,"timestamp":%d,"data":{"tag":"big","payload":[%b]}}' % (
        recordings[0][0].ms + later,
        b",".join([event] * copies),
    )
