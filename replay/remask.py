"""Masking after the fact: what is stored of a recording goes through the mask again.

The events of a tape are a batch of their own, the last and only one; they are in order and unpacked already. The sidecar's
values are masked beside them.
"""

from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence

import msgspec
from msgspec import Raw

from replay import surrogates
from replay.addresses import address
from replay.batches import span
from replay.envelope import BadEnvelope, Navigation
from replay.gather import Gathered
from replay.index import Index
from replay.mask import Mask, Masker
from replay.order import playing_order
from replay.places import path
from replay.sidecar import RejectedEvent
from replay.sidecar import write as write_sidecar
from replay.tape import LEVEL
from replay.tape import write as write_tape
from replay.unpack import EVENT_MAX_BYTES

_BEFORE = b'{"started_at":"1970-01-01T00:00:00Z","has_video":true,"events":'
_AFTER = b"}"


class Place(msgspec.Struct, frozen=True):
    """Something that would be masked: where it stands, such as `events[12].data.text`, and the rule."""

    where: str
    rule: str


class _Rejected(msgspec.Struct):
    index: int
    reason: str
    event: Raw


class _Sidecar(msgspec.Struct):
    console: list[Raw]
    network: list[Raw]
    client_info: Raw
    rejected: list[_Rejected]


class _Navigations(msgspec.Struct):
    navigations: Raw = Raw(b"null")


_sidecar = msgspec.json.Decoder(_Sidecar)
_navigations = msgspec.json.Decoder(_Navigations)


class Remasked:
    """A recording that was masked again. Reading the figures costs nothing; `tape` and `sidecar` compute as they are consumed."""

    def __init__(self, tape: bytearray, sidecar: bytearray, mask: Mask, level: int, *, live: bool) -> None:
        self._level = level
        self._index: Index | None = None
        gathered = Gathered(EVENT_MAX_BYTES, mask, live=live)
        tape[0:0] = _BEFORE
        tape += _AFTER
        mask.within("events", tape, gathered.slices)
        gathered.add(tape, last=True)
        if gathered.rejected:
            raise BadEnvelope("not a tape's event", f"events[{gathered.rejected[0].index}]")
        order = playing_order(gathered.times)
        gathered.mask_pages(order)
        self._recorded = gathered.recorded(order)
        self._logs = _mask_sidecar(sidecar, mask)
        self.masked: dict[str, int] = dict(mask.counts)
        start = self._recorded.times[0] if self._recorded.times else 0.0
        self.navigations: list[Navigation] = gathered.tally.navigations(gathered.times, start)

    @property
    def index(self) -> Index:
        """Known once `tape` was consumed to its end."""
        if self._index is None:
            raise RuntimeError("the tape has not been written yet")
        return self._index

    def tape(self) -> Generator[bytes, None, None]:
        """The bytes of the tape (`replay.tape`)."""
        self._index = yield from write_tape(self._recorded, level=self._level)

    def sidecar(self) -> Iterator[bytes]:
        """The bytes of the sidecar (`replay.sidecar`)."""
        logs = self._logs
        rejected = [RejectedEvent(one.index, one.reason, one.event) for one in logs.rejected]
        return write_sidecar(logs.console, logs.network, logs.client_info, rejected, level=self._level)


def remask(
    tape: bytearray, sidecar: bytearray, masker: Masker, *, live: bool = False, level: int = LEVEL
) -> Remasked:
    """What a tape, as the JSON array that its frame decodes to, and its sidecar, as JSON, become. Both are changed.

    `live` as for `replay.plan.plan`. Raises BadEnvelope or msgspec.DecodeError when they are not what was stored.
    """
    return Remasked(tape, sidecar, Mask(masker), level, live=live)


def remask_payload(body: bytearray, masker: Masker) -> dict[str, int]:
    """Mask one envelope, as JSON, in place. Returns how many values by which rule; raises as `remask` does.

    A packed event that holds a secret is no longer packed; all else keeps its length.
    """
    mask = Mask(masker)
    for start, end, event in _mask_payload(body, mask):
        body[start:end] = event
    return dict(mask.counts)


def places(
    tape: bytearray, sidecar: bytearray, masker: Masker, *, limit: int
) -> tuple[dict[str, int], list[Place]]:
    """What `remask` would mask, and where: up to `limit` places. Never what stands there."""
    mask = _Locating(masker, limit)
    masked = Remasked(tape, sidecar, mask, LEVEL, live=False).masked
    return masked, mask.places


def _mask_payload(body: bytearray, mask: Mask) -> list[tuple[int, int, bytes]]:
    """Mask an envelope; what cannot be masked in place is to be replaced, the last first, once nothing shows the body."""
    gathered = Gathered(EVENT_MAX_BYTES, mask)
    gathered.add(body, last=True)
    gathered.mask_pages(playing_order(gathered.times))
    navigations = _navigations.decode(body).navigations
    if memoryview(navigations)[0] == ord("["):
        mask.values(body, *span(body, [navigations]), lambda *_: None)
    return sorted(gathered.replaced(), reverse=True)


def _mask_sidecar(text: bytearray, mask: Mask) -> _Sidecar:
    logs = surrogates.decode(_sidecar, text)
    for name, values in (
        ("console", logs.console),
        ("network", logs.network),
        ("client_info", [logs.client_info]),
    ):
        mask.within(name, text, values)
        mask.values(text, *span(text, values), lambda *_: None)
    logs.client_info = mask.client_info(logs.client_info)
    for i, one in enumerate(logs.rejected):
        mask.within(f"rejected[{i}].event", text, [])
        mask.values(text, *span(text, [one.event]), lambda *_: None)
        one.event = mask.rejected(one.event)
    return logs


class _Locating(Mask):
    """A mask that also remembers where it found the first things to mask."""

    def __init__(self, masker: Masker, limit: int) -> None:
        super().__init__(masker)
        self._limit = limit
        self._part: tuple[str, bytearray, Sequence[Raw]] = ("", bytearray(), ())
        self._found: list[tuple[str, int, tuple[str, bytearray, Sequence[Raw]]]] = []

    def within(self, name: str, text: bytearray, values: Sequence[Raw]) -> None:
        self._part = name, text, values

    def found(self, rule: str, at: int) -> None:
        super().found(rule, at)
        if len(self._found) < self._limit:
            self._found.append((rule, at, self._part))

    @property
    def places(self) -> list[Place]:
        """Known once all was masked."""
        return [Place(_where(*part, at), rule) for rule, at, part in self._found]


def _where(name: str, text: bytearray, values: Sequence[Raw], at: int) -> str:
    if not values:
        return name
    start = address(text)
    i = bisect_right(values, at, key=lambda value: address(value) - start) - 1
    index = "" if name == "client_info" else f"[{i}]"
    return f"{name}{index}{path(text, address(values[i]) - start, at)}"
