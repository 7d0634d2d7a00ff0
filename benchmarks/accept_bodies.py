"""Bodies of `POST /api/v1/recordings`, of any size: our own recordings' events, again and again, each time later."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import msgspec

from replay import splice

RECORDINGS = Path(__file__).parents[1] / "tests" / "fixtures" / "recordings"
# Of ordinary pages. Not everything.json: Postgres's jsonb refuses its unpaired surrogates, and with it who uses one.
NAMES = ("shop.json", "login.json", "tabs.json", "activity.json", "flood.json.gz")
LATER_MS = 600_000
SMALL = 200  # bytes; events that are not larger are in each of them


def body(size: int) -> bytes:
    """An upload of `size` bytes, or a little less. Events that are too large for the rest are left out."""
    head, tail = b'{"started_at":"2026-05-04T10:00:00Z","name":"Benchmark","events":[', b"]}"
    left, events = size - len(head) - len(tail), []
    for event in _events():
        if len(event) < left:
            events.append(event)
            left -= len(event) + 1
        if left < SMALL:
            break
    return head + b",".join(events) + tail


def _events() -> Iterator[bytes]:
    recordings = [_recording(RECORDINGS / name) for name in NAMES]
    later = 0
    while True:
        for events in recordings:
            for event, place, at in events:
                yield splice.replace(event, {place: str(at + later).encode()})
        later += LATER_MS


def _recording(path: Path) -> list[tuple[bytes, splice.Member, int]]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    events = []
    for raw in msgspec.json.decode(text, type=list[msgspec.Raw]):
        event = bytes(raw)
        place = splice.members(event)["timestamp"]
        events.append((event, place, json.loads(event[place.start : place.end])))
    return events
