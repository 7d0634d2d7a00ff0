"""Bodies of `POST /api/v1/recordings`, of any size: our own recordings' events, again and again, each time later."""

from collections.abc import Iterator

from benchmarks.process_input import FIXTURES, read
from replay import splice

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
    recordings = [read(FIXTURES / name) for name in NAMES]
    later = 0
    while True:
        for recording in recordings:
            for event, timestamp, ms in recording:
                yield splice.replace(event, {timestamp: str(ms + later).encode()})
        later += LATER_MS
