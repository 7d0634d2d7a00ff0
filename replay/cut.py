"""Cuts: which stored bytes answer `from_ms <= t < to_ms`, and what little of them must be made anew.

Parts that lie inside are sent as they are, by byte range. Only the first and the last part can be edges: they are read,
decoded and compressed again without the events that lie outside. No I/O here: a cut names the spans to be read, and
makes the body from what was read.
"""

from array import array as array_of
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple, TypeAlias

import msgspec
import zstandard
from msgspec import Raw

from replay import surrogates
from replay.events import read_head
from replay.index import Index, Part
from replay.tape import LEVEL, PREFIX, RESET, SEPARATOR, SUFFIX, crc32c, pack_part, read_part

Starts: TypeAlias = "array_of[int]"
FindEvents = Callable[[Part, bytes], Starts]

_events = msgspec.json.Decoder(list[Raw])


class CorruptPart(Exception):
    """Stored bytes that are not those the index describes."""


class Span(NamedTuple):
    """Bytes of the stored object, `end` excluded."""

    start: int
    end: int


class Body(NamedTuple):
    """An answer: the concatenation of `pieces` is one zstd frame that decodes to one JSON array."""

    pieces: tuple[bytes | Span, ...]
    parts: tuple[tuple[int, int], ...]  # stored and decoded length of each part in it

    @property
    def stored_bytes(self) -> int:
        return sum(
            piece.end - piece.start if isinstance(piece, Span) else len(piece) for piece in self.pieces
        )

    @property
    def json_bytes(self) -> int:
        """Length of the decoded array."""
        separators = len(SEPARATOR) * max(0, len(self.parts) - 1)
        return len("[]") + separators + sum(decoded for _, decoded in self.parts)


class Edge(NamedTuple):
    """A part of which only some events are wanted: from `from_ms`, or from event `from_event` if that is earlier."""

    part: Part
    from_ms: float
    from_event: int | None
    to_ms: float

    @property
    def span(self) -> Span:
        return Span(self.part.offset, self.part.end)


class Cut(NamedTuple):
    """What a request wants. Read `spans`, in order, and give their bytes to `body`."""

    zero: float  # the time that cuts count from
    head: Edge | None
    whole: tuple[Part, ...]
    tail: Edge | None

    @property
    def spans(self) -> list[Span]:
        """What must be read before the answer can begin: at most two parts."""
        return [edge.span for edge in (self.head, self.tail) if edge]

    def body(
        self, read: Sequence[bytes] = (), *, level: int = LEVEL, find_events: FindEvents | None = None
    ) -> Body:
        """The answer, given the bytes of `spans`. Raises CorruptPart.

        `find_events` may remember what it found in a part before: nine tenths of the time of a cut.
        """
        find = find_events or (lambda _, array: event_starts(array))
        edges = iter(read)
        groups: list[tuple[bytes | Span, list[tuple[int, int]]]] = []
        if self.head:
            groups += _shortened(self.head, next(edges), self.zero, level, find)
        if self.whole:
            span = Span(self.whole[0].offset, self.whole[-1].end)
            groups.append((span, [(part.length, part.json_bytes) for part in self.whole]))
        if self.tail:
            groups += _shortened(self.tail, next(edges), self.zero, level, find)
        pieces: list[bytes | Span] = [PREFIX]
        for i, (piece, _) in enumerate(groups):
            pieces += [RESET, piece] if i else [piece]
        pieces.append(SUFFIX)
        return Body(tuple(pieces), tuple(part for _, parts in groups for part in parts))


def whole(index: Index) -> Body:
    """Everything, as one span of stored bytes."""
    return Body((Span(0, index.frame_bytes),), tuple((part.length, part.json_bytes) for part in index.parts))


def cut(
    index: Index, *, from_ms: float | None = None, to_ms: float | None = None, align: bool = False
) -> Cut:
    """The events of `from_ms <= t < to_ms`, t in ms from the first event; None leaves an end open.

    `align` moves the start back to the Meta before the nearest full snapshot (the last at or before `from_ms`, else the
    first one), so that the answer plays on its own.
    """
    low = float("-inf") if from_ms is None else from_ms
    high = float("inf") if to_ms is None else to_ms
    zero = index.first_time
    start = bisect_left(index.parts, low, key=lambda part: part.last_time - zero)
    end = bisect_left(index.parts, high, key=lambda part: part.first_time - zero)
    from_event: int | None = None
    if align and index.snapshots:
        before = bisect_left(index.snapshots, True, key=lambda snapshot: snapshot.time - zero > low)
        place = index.snapshots[max(0, before - 1)]
        if place.part <= start:
            start, from_event = place.part, place.event
    parts = index.parts[start:end]
    if not parts:
        return Cut(zero, None, (), None)
    head = tail = None
    begins_inside = from_event != 0 and (bool(from_event) or parts[0].first_time - zero < low)
    if begins_inside:
        head, parts = Edge(parts[0], low, from_event, high), parts[1:]
    if parts and parts[-1].last_time - zero >= high:
        tail, parts = Edge(parts[-1], float("-inf"), None, high), parts[:-1]
    return Cut(zero, head, parts, tail)


def event_starts(array: bytes) -> Starts:
    """Where each event begins in a part's JSON array, and where one more would. Raises msgspec.DecodeError."""
    events = surrogates.decode(_events, array)
    return array_of("I", accumulate((len(memoryview(event)) + 1 for event in events), initial=1))


def events_of(part: Part, stored: bytes) -> list[Raw]:
    """The events of a part, from its stored bytes. Raises CorruptPart."""
    try:
        return surrogates.decode(_events, _checked(part, stored))
    except (zstandard.ZstdError, msgspec.DecodeError) as error:
        raise CorruptPart(f"part at {part.offset}: {error}") from None


def _checked(part: Part, stored: bytes) -> bytes:
    if len(stored) != part.length or crc32c(stored) != part.crc32c:
        raise CorruptPart(f"part at {part.offset}")
    return read_part(stored, part.json_bytes)


def _shortened(
    edge: Edge, stored: bytes, zero: float, level: int, find: FindEvents
) -> list[tuple[bytes | Span, list[tuple[int, int]]]]:
    """The edge's wanted events as a part of their own; nothing when there are none."""
    part = edge.part
    try:
        array = _checked(part, stored)
        starts = find(part, array)
    except (zstandard.ZstdError, msgspec.DecodeError) as error:
        raise CorruptPart(f"part at {part.offset}: {error}") from None

    def time(event: int) -> float:
        return read_head(array[starts[event] : starts[event + 1] - 1]).time - zero

    events = range(len(starts) - 1)
    first = bisect_left(events, edge.from_ms, key=time)
    if edge.from_event is not None:
        first = min(first, edge.from_event)
    last = bisect_left(events, edge.to_ms, key=time)
    if first >= last:
        return []
    json = array[starts[first] : starts[last] - 1]
    piece = pack_part(json, level=level)
    return [(piece, [(len(piece), len(json))])]
