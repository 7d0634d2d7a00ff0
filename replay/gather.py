"""Events of all batches, gathered in order of arrival: unpacked, checked, counted; duplicates told from repeats."""

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import compress

from msgspec import Raw

from replay import findings, units
from replay.batches import Batches, span
from replay.elements import Marks
from replay.envelope import Envelope, Navigation, decode_accepted
from replay.events import Head, Heads, Rejected, read_head, read_heads
from replay.live_mask import mask_live
from replay.logs import is_good_console_log, is_good_network_log
from replay.mask import Mask
from replay.page_mask import Marked, mask_pages, tells_windows
from replay.runs import runs
from replay.sidecar import RejectedEvent
from replay.summary import Tally
from replay.tape import Recorded
from replay.unpack import EVENT_MAX_BYTES, unpack_members, unpack_string

RUN_BYTES = 64 << 10  # of events whose heads are read together: each reading has its price

_STRING = ord('"')


class Gathered:
    """The events of all batches in order of arrival, as columns: slices, and of what is stored sizes, times, kinds."""

    def __init__(self, max_bytes: int, mask: Mask, *, live: bool = False) -> None:
        self.mask = mask
        self.slices: list[Raw] = []
        self.sizes: array[int] = array("Q")
        self.times: array[float] = array("d")
        self.kinds = bytearray()
        self.tally = Tally(live=live)
        self.rejected: list[RejectedEvent] = []
        self.rejected_logs: list[RejectedEvent] = []
        self._refused: list[Raw] = []  # as they were sent
        self._refused_logs: list[Raw] = []
        self._received_logs = Counter[str]()  # by the reason for which such are rejected
        self.received = self.duplicate = 0
        self.console: list[Raw] = []
        self.network: list[Raw] = []
        self.client_info: Raw | None = None
        self.navigations: list[Navigation] = []
        self._packed: dict[int, Head | None] = {}  # place → the head before unpacking; None: a string
        self._in_seconds: set[int] = set()
        self._room = max_bytes  # for what is still to be unpacked
        self._batches = Batches(self.slices)
        self._seen: set[bytes] = set()  # digests of what the batches before brought
        self._marked = Marked(set(), set())
        self._packed_tells_windows = False
        self._mask_again: set[int] = set()  # places of packed events that have secrets by themselves
        self._masked: dict[int, bytes] = {}  # place → a packed event, masked for what its nodes are

    def add(self, body: bytearray, *, last: bool) -> None:
        """One batch as it was sent, masked in place. Raises BadEnvelope."""
        envelope = decode_accepted(body)
        digests = [] if last and not self._seen else list(map(_digest, envelope.events))
        self._batches.add(body)
        marks = self._mask_batch(body, envelope)
        events, indexes = self._new(envelope.events, digests)
        self._seen.update(digests)
        sizes = _sizes(events)
        for start, end in runs(sizes, RUN_BYTES):
            run, run_sizes = events[start:end], sizes[start:end]
            if heads := read_heads(run, run_sizes):
                self._take_all(run, run_sizes, heads)
            else:
                for index, event in zip(indexes[start:end], run, strict=True):
                    self._take(index, event)
        self._marked.secrets.update(self._batches.places(marks.secrets))
        self._marked.hiding.update(self._batches.places(marks.hiding))
        self.received += len(envelope.events)
        console = self._logs(envelope.console_logs, is_good_console_log, "bad_console_log")
        network = self._logs(envelope.network_logs, is_good_network_log, "bad_network_log")
        self.tally.add_logs(console, network)
        self.console += console
        self.network += network
        if envelope.client_info:
            self.client_info = self.mask.client_info(envelope.client_info)
        self.navigations += [
            Navigation(self.mask.masker.string(page.url), page.timestamp_ms) for page in envelope.navigations
        ]

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
        event = self._in_own_units(place)
        return units.in_ms(event)[0] if place in self._in_seconds else event

    def mask_pages(self, order: Sequence[int]) -> None:
        """Mask what is a secret because of the node or the input that holds it; `order` is the playing order."""
        mask_pages(self, order, self._marked, self.mask)
        mask_live(self, order, self.mask)

    def outside(self, place: int) -> bytes | Raw:
        """An event's JSON, members of its `data` still packed."""
        event = self.slices[place]
        return self._in_own_units(place) if memoryview(event)[0] == _STRING else event

    def may_tell_windows(self) -> bool:
        """Whether events may say which window they are from."""
        return self._packed_tells_windows or any(map(tells_windows, self._batches.bodies))

    def editable(self, place: int) -> tuple[bytearray, int, int]:
        """An event's JSON, `buffer[start:end]`, to be read and overwritten."""
        if place not in self._packed:
            return self._batches.locate(place)
        event = bytearray(self._in_own_units(place))
        return event, 0, len(event)

    def edited(self, place: int, buffer: bytearray) -> None:
        """The event was overwritten in the buffer that `editable` gave."""
        if place in self._packed:
            self._masked[place] = bytes(buffer)

    def replaced(self) -> Iterator[tuple[int, int, bytes]]:
        """What of the only batch was masked, but not in place: which part of its body, and what stands for that now."""
        for place in self._mask_again | self._masked.keys():
            _, start, end = self._batches.locate(place)
            yield start, end, bytes(self._in_own_units(place))
        refused_ones = (*self._refused, *self._refused_logs)
        for refused, one in zip(refused_ones, (*self.rejected, *self.rejected_logs), strict=True):
            if one.event is not refused:
                yield (*span(self._batches.bodies[-1], [refused]), bytes(one.event))

    def _in_own_units(self, place: int) -> bytes | Raw:
        if place in self._masked:
            return self._masked[place]
        event = self.slices[place]
        if place not in self._packed:
            return event
        unpacked = _unpack(event, self._packed[place], EVENT_MAX_BYTES)
        return self.mask.masked_again(unpacked) if place in self._mask_again else unpacked

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
            set_back += before - time > findings.BACKWARD_JUMP_MS and not self._batches.begins_at(place)
            latest, before = max(latest, time), time
        return late, set_back

    def _mask_batch(self, body: bytearray, envelope: Envelope) -> Marks:
        """Mask what is a secret by itself. Returns where in the body marks stand."""
        marks = Marks()
        client_info = [envelope.client_info] if envelope.client_info else []
        for values in (envelope.events, envelope.console_logs, envelope.network_logs, client_info):
            self.mask.values(body, *span(body, values), marks.add)
        return marks

    def _logs(self, logs: list[Raw], is_good: Callable[[Raw], bool], reason: str) -> list[Raw]:
        """Those of a batch's logs that are good."""
        before = self._received_logs[reason]
        self._received_logs[reason] += len(logs)
        good = []
        for index, log in enumerate(logs, before):
            if is_good(log):
                good.append(log)
            else:
                self._refused_logs.append(log)
                self.rejected_logs.append(RejectedEvent(index, reason, self.mask.rejected(log)))
        return good

    def _mask_packed(self, place: int, event: bytes | Raw) -> bytes | Raw:
        """The same for an event that came packed."""
        marks = Marks()
        masked = self.mask.event(event, marks.add)
        if masked is not event:
            self._mask_again.add(place)
        if marks.secrets:
            self._marked.secrets.add(place)
        if marks.hiding:
            self._marked.hiding.add(place)
        self._packed_tells_windows |= tells_windows(masked)
        return masked

    def _new(self, events: list[Raw], digests: Sequence[bytes]) -> tuple[list[Raw], Sequence[int]]:
        """Those that no batch before brought, and their indexes among all that was received."""
        if not self._seen:
            return events, range(self.received, self.received + len(events))
        new = [index for index, digest in enumerate(digests) if digest not in self._seen]
        self.duplicate += len(events) - len(new)
        return [events[index] for index in new], [self.received + index for index in new]

    def _take_all(self, events: list[Raw], sizes: "array[int]", heads: Heads) -> None:
        place = len(self.slices)
        self.slices += events
        self.sizes += sizes
        self.times += heads.times
        self.kinds += heads.kinds
        for i in compress(range(len(events)), heads.kinds.translate(self.tally.is_tallied)):
            self.tally.add(place + i, events[i], heads.kinds[i], heads.detail(i))

    def _take(self, index: int, event: Raw) -> None:
        try:
            final, head, packed = self._read(event)
        except Rejected as rejected:
            self._refused.append(event)
            self.rejected.append(RejectedEvent(index, rejected.reason, self.mask.rejected(event)))
            return
        place = len(self.slices)
        if final is not event:
            self._packed[place] = packed
            final = self._mask_packed(place, final)
        self.slices.append(event)
        self.sizes.append(len(memoryview(final)))
        self.times.append(head.time)
        self.kinds.append(head.kind)
        if self.tally.is_tallied[head.kind]:
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
