"""Events of all batches, gathered in order of arrival: unpacked, checked, counted; duplicates told from repeats."""

import hashlib
from array import array
from collections.abc import Callable, Iterator, Sequence

from msgspec import Raw

from replay import findings, units
from replay.envelope import Envelope, Navigation
from replay.events import Head, Rejected, read_head
from replay.order import is_sorted
from replay.sidecar import RejectedEvent
from replay.summary import TALLIED, Tally
from replay.tape import Recorded
from replay.unpack import EVENT_MAX_BYTES, unpack_members, unpack_string

_STRING = ord('"')


class Gathered:
    """The events of all batches in order of arrival, as columns: slices, times, kinds."""

    def __init__(self, max_bytes: int) -> None:
        self.slices: list[Raw] = []
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
        for index, event in enumerate(envelope.events, self.received):
            if self._seen and _digest(event) in self._seen:
                self.duplicate += 1
                continue
            try:
                self._take(event)
            except Rejected as rejected:
                self.rejected.append(RejectedEvent(index, rejected.reason, event))
        self.received += len(envelope.events)
        self.tally.add_logs(envelope.console_logs, envelope.network_logs)
        self.console += envelope.console_logs
        self.network += envelope.network_logs
        self.client_info = envelope.client_info or self.client_info
        self.navigations += envelope.navigations

    def recorded(self, order: Sequence[int]) -> Iterator[Recorded]:
        """The events as they are stored, in this order."""
        changes = bool(self._packed or self._in_seconds)
        event: Callable[[int], bytes | Raw] = self.stored if changes else self.slices.__getitem__
        return zip(
            map(event, order),
            map(self.times.__getitem__, order),
            map(self.kinds.__getitem__, order),
            strict=True,
        )

    def stored(self, place: int) -> bytes | Raw:
        """The event as it is stored."""
        event = self.slices[place]
        final = _unpack(event, self._packed[place], EVENT_MAX_BYTES) if place in self._packed else event
        return units.in_ms(final)[0] if place in self._in_seconds else final

    def scale(self) -> None:
        """Bring times in seconds to ms."""
        for place in units.in_seconds(self.times, self.kinds):
            before = self.stored(place)
            after, self.times[place] = units.in_ms(before)
            self.tally.sizes[self.kinds[place]] += len(after) - len(memoryview(before))
            self._in_seconds.add(place)

    def disorder(self) -> tuple[int, int]:
        """How many events arrived after a later one, and how often time was set back within a batch."""
        late = set_back = 0
        if is_sorted(self.times):
            return 0, 0
        latest = before = float("-inf")
        for place, time in enumerate(self.times):
            late += time < latest
            set_back += before - time > findings.BACKWARD_JUMP_MS and place not in self._starts
            latest, before = max(latest, time), time
        return late, set_back

    def _take(self, event: Raw) -> None:
        place = len(self.slices)
        final: bytes | Raw = event
        view = memoryview(event)
        if view[0] == _STRING:
            final = self._unpacked(event, None)
            head = read_head(final)
            self._packed[place] = None
            view = memoryview(final)
        else:
            head = read_head(event)
            if head.cv is not None:
                packed = head
                final = self._unpacked(event, packed)
                head = read_head(final, unpacked=True)
                if final is not event:
                    self._packed[place] = packed
                    view = memoryview(final)
        self.slices.append(event)
        self.times.append(head.time)
        self.kinds.append(head.kind)
        self.tally.sizes[head.kind] += len(view)
        if head.kind in TALLIED:
            self.tally.add(place, final, head)

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


def _digest(event: Raw) -> bytes:
    return hashlib.blake2b(event, digest_size=16).digest()
