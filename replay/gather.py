"""Events of all batches, gathered in order of arrival: unpacked, checked, counted; duplicates told from repeats."""

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from itertools import compress

from msgspec import Raw

from replay import findings, units
from replay.envelope import Envelope, Navigation
from replay.events import Head, Heads, Rejected, read_head, read_heads
from replay.runs import runs
from replay.sidecar import RejectedEvent
from replay.summary import IS_TALLIED, Tally
from replay.tape import Recorded
from replay.unpack import EVENT_MAX_BYTES, unpack_members, unpack_string

RUN_BYTES = 64 << 10  # of events whose heads are read together: each reading has its price

_STRING = ord('"')


class Gathered:
    """The events of all batches in order of arrival, as columns: slices, and of what is stored sizes, times, kinds."""

    def __init__(self, max_bytes: int) -> None:
        self.slices: list[Raw] = []
        self.sizes: array[int] = array("Q")
        self.times: array[float] = array("d")
        self.kinds = bytearray()
        self.tally = Tally()
        self.rejected: list[RejectedEvent] = []
        self.received = self.duplicate = 0
        self.console: list[Raw] = []
        self.network: list[Raw] = []
        self.client_info: Raw | None = None
        self.navigations: list[Navigation] = []
        self._packed: dict[int, Head | None] = {}  # place → the head before unpacking; None: a string
        self._in_seconds: set[int] = set()
        self._room = max_bytes  # for what is still to be unpacked
        self._seen: set[bytes] = set()  # digests of what the batches before the last one brought
        self._last_batch: list[Raw] = []
        self._starts: set[int] = set()  # places where a batch begins

    def add(self, envelope: Envelope) -> None:
        """One batch."""
        self._seen.update(map(_digest, self._last_batch))
        self._last_batch = envelope.events
        self._starts.add(len(self.slices))
        events, indexes = self._new(envelope.events)
        sizes = _sizes(events)
        for start, end in runs(sizes, RUN_BYTES):
            run, run_sizes = events[start:end], sizes[start:end]
            if heads := read_heads(run, run_sizes):
                self._take_all(run, run_sizes, heads)
            else:
                for index, event in zip(indexes[start:end], run, strict=True):
                    self._take(index, event)
        self.received += len(envelope.events)
        self.tally.add_logs(envelope.console_logs, envelope.network_logs)
        self.console += envelope.console_logs
        self.network += envelope.network_logs
        self.client_info = envelope.client_info or self.client_info
        self.navigations += envelope.navigations

    def recorded(self, order: Sequence[int]) -> Recorded:
        """The events as they are stored, in playing order."""
        changed = bool(self._packed or self._in_seconds)

        def read(start: int, end: int) -> Iterable[bytes | Raw]:
            return map(self.stored if changed else self.slices.__getitem__, order[start:end])

        if isinstance(order, range):
            return Recorded(self.sizes, self.times, self.kinds, read)
        return Recorded(
            array("Q", map(self.sizes.__getitem__, order)),
            array("d", map(self.times.__getitem__, order)),
            bytes(map(self.kinds.__getitem__, order)),
            read,
        )

    def stored(self, place: int) -> bytes | Raw:
        """The event as it is stored."""
        event = self.slices[place]
        final = _unpack(event, self._packed[place], EVENT_MAX_BYTES) if place in self._packed else event
        return units.in_ms(final)[0] if place in self._in_seconds else final

    def scale(self) -> None:
        """Bring times in seconds to ms."""
        for place in units.in_seconds(self.times, self.kinds):
            scaled, self.times[place] = units.in_ms(self.stored(place))
            self.sizes[place] = len(scaled)
            self._in_seconds.add(place)

    def disorder(self, order: Sequence[int]) -> tuple[int, int]:
        """How many events arrived after a later one, and how often time was set back within a batch."""
        late = set_back = 0
        if isinstance(order, range):
            return 0, 0
        latest = before = float("-inf")
        for place, time in enumerate(self.times):
            late += time < latest
            set_back += before - time > findings.BACKWARD_JUMP_MS and place not in self._starts
            latest, before = max(latest, time), time
        return late, set_back

    def _new(self, events: list[Raw]) -> tuple[list[Raw], Sequence[int]]:
        """Those that no batch before brought, and their indexes among all that was received."""
        if not self._seen:
            return events, range(self.received, self.received + len(events))
        new = [index for index, event in enumerate(events) if _digest(event) not in self._seen]
        self.duplicate += len(events) - len(new)
        return [events[index] for index in new], [self.received + index for index in new]

    def _take_all(self, events: list[Raw], sizes: "array[int]", heads: Heads) -> None:
        place = len(self.slices)
        self.slices += events
        self.sizes += sizes
        self.times += heads.times
        self.kinds += heads.kinds
        for i in compress(range(len(events)), heads.kinds.translate(IS_TALLIED)):
            self.tally.add(place + i, events[i], heads.kinds[i], heads.detail(i))

    def _take(self, index: int, event: Raw) -> None:
        try:
            final, head, packed = self._read(event)
        except Rejected as rejected:
            self.rejected.append(RejectedEvent(index, rejected.reason, event))
            return
        place = len(self.slices)
        if final is not event:
            self._packed[place] = packed
        self.slices.append(event)
        self.sizes.append(len(memoryview(final)))
        self.times.append(head.time)
        self.kinds.append(head.kind)
        if IS_TALLIED[head.kind]:
            self.tally.add(place, final, head.kind, head.detail)

    def _read(self, event: Raw) -> tuple[bytes | Raw, Head, Head | None]:
        """The event as it is stored but for its unit of time, its head, and its head before unpacking (None: a string)."""
        if memoryview(event)[0] == _STRING:
            final = self._unpacked(event, None)
            return final, read_head(final), None
        head = read_head(event)
        if head.cv is None:
            return event, head, None
        final = self._unpacked(event, head)
        return final, read_head(final, unpacked=True), head

    def _unpacked(self, event: Raw, head: Head | None) -> bytes | Raw:
        limit = min(EVENT_MAX_BYTES, self._room)
        if limit <= 0:
            raise Rejected("too_large")
        try:
            final = _unpack(event, head, limit)
        except Rejected as rejected:
            if rejected.reason == "too_large":
                self._room -= limit  # the work was done all the same
            raise
        if final is not event:
            self._room -= len(memoryview(final))
        return final


def _unpack(event: Raw, head: Head | None, limit: int) -> bytes | Raw:
    return unpack_string(event, limit) if head is None else unpack_members(event, head, limit)


def _sizes(events: Iterable[Raw]) -> "array[int]":
    return array("Q", map(len, map(memoryview, events)))  # type: ignore[arg-type]  # its class is generic only in stubs


def _digest(event: Raw) -> bytes:
    return hashlib.blake2b(event, digest_size=16).digest()
