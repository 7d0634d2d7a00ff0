"""Tapes of our recordings, and cuts of them with what they must decode to, worked out without `replay`."""

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import zstandard

from replay import cut
from replay.index import Index
from replay.plan import Claims, plan
from replay.rrweb import EventType
from replay.tape import SEPARATOR
from tests.fixtures import read

GIB = 1 << 30
TIMESTAMP = re.compile(rb'"timestamp":(\d+)')


class Event:
    """One recorded event: its bytes, its time in ms, its type."""

    def __init__(self, raw: bytes) -> None:
        head = json.loads(raw)
        self.raw, self.time, self.type = raw, head["timestamp"], head["type"]


def recorded(name: str) -> list[Event]:
    """The events of a plain fixture, as they were sent: it has one a line."""
    return [Event(raw) for raw in read(name)[1:-1].split(b",\n")]


def repeated(events: Sequence[Event], times: int) -> list[Event]:
    """The same again and again, one after another in time."""
    length = events[-1].time - events[0].time + 1

    def later(event: Event, n: int) -> Event:
        return Event(TIMESTAMP.sub(b'"timestamp":%d' % (event.time + n * length), event.raw))

    return [later(event, n) for n in range(times) for event in events]


@dataclass(frozen=True)
class Tape:
    """A stored object, its index, and its events in playing order."""

    stored: bytes
    index: Index
    events: list[Event]

    def cut(self, from_ms: float | None = None, to_ms: float | None = None, *, align: bool = False) -> bytes:
        """The body of an answer, made as the API makes it."""
        planned = cut.cut(self.index, from_ms=from_ms, to_ms=to_ms, align=align)
        body = planned.body([self.stored[start:end] for start, end in planned.spans])
        pieces = (self.stored[slice(*piece)] if isinstance(piece, tuple) else piece for piece in body.pieces)
        return b"".join(pieces)

    def expected(
        self, from_ms: float | None = None, to_ms: float | None = None, *, align: bool = False
    ) -> bytes:
        """The same cut of the whole: a JSON array without white space between the events."""
        low = float("-inf") if from_ms is None else from_ms
        high = float("inf") if to_ms is None else to_ms
        times = [event.time - self.events[0].time for event in self.events]
        start = next((n for n, time in enumerate(times) if time >= low), len(times))
        if align:
            start = min(start, self._playable_from(times, low))
        wanted = [
            event.raw for event, time in list(zip(self.events, times, strict=True))[start:] if time < high
        ]
        return b"[" + b",".join(wanted) + b"]"

    def _playable_from(self, times: list[float], low: float) -> int:
        snapshots = [n for n, event in enumerate(self.events) if event.type == EventType.FULL_SNAPSHOT]
        nearest = max((n for n in snapshots if times[n] <= low), default=snapshots[0])
        return max((n for n in range(nearest) if self.events[n].type == EventType.META), default=nearest)


def tape(events: Sequence[Event], *, level: int) -> Tape:
    """The tape of one upload. Part sizes are `replay.tape.PART_BYTES`."""
    envelope = (
        b'{"started_at":"2026-01-01T00:00:00Z","events":[' + b",".join(event.raw for event in events) + b"]}"
    )
    planned = plan([[zstandard.compress(envelope)]], Claims(), level=level, max_bytes=GIB)
    stored = b"".join(planned.tape())
    return Tape(stored, planned.index, sorted(events, key=lambda event: event.time))


def windows(tape: Tape, count: int, *, seed: int) -> Iterator[tuple[float | None, float | None, bool]]:
    """`from_ms`, `to_ms` and `align` of cuts: the whole, nothing, open ends, and chosen at random between and on events."""
    length = tape.events[-1].time - tape.events[0].time
    yield from ((None, None, False), (length + 1, None, False), (None, 0, False), (length, None, True))
    chance = random.Random(seed)  # the same cuts for every decoder, and again on the next run
    for n in range(count):
        one, two = sorted(
            chance.choice(tape.events).time - tape.events[0].time + chance.choice((0, 0.5)) for _ in "ab"
        )
        yield (one if n % 5 else None), (two if n % 7 else None), n % 3 == 0


def without_separators(decoded: bytes) -> bytes:
    """Parts are joined by a comma and white space; the events themselves are unchanged."""
    return decoded.replace(SEPARATOR, b",")
