"""One event's head: what ordering, counting and playing need, read from its raw JSON slice.

`read_head` is fast on what recorders send and falls back to reading member by member, so that an event is refused
for a reason that can be told, and for nothing else. The reasons:

| reason | the event |
|---|---|
| `bad_type`, `missing_type` | its `type` is no integer ≥ 0 (3.0 is one) |
| `missing_timestamp`, `bad_timestamp` | its `timestamp` is no number, or beyond ±8.64e15 ms, where JavaScript's time ends |
| `missing_data`, `bad_data` | a full snapshot, increment or Meta without an object `data` |
| `missing_source`, `bad_source` | an increment whose `data.source` is no integer ≥ 0 |
| `bad_pack` | a packed event that does not unpack to one (`replay.unpack`) |
| `too_large` | a packed event that unpacks to more than is allowed |
| `too_deep` | nested too deeply to read |
"""

import re
from array import array
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Raw

from replay import surrogates
from replay.rrweb import EventType, Source, kind

LAST_TIME_MS = 8.64e15  # ECMA-262, time value: ±100,000,000 days around 1970


class Rejected(Exception):
    """An event that cannot be stored; the message is its reason."""

    @property
    def reason(self) -> str:
        return str(self.args[0])


class Head(msgspec.Struct, gc=False):
    """`kind` as in `replay.rrweb`; `time` as sent (ms, or seconds); `detail` is `data.type` of an increment, else -1."""

    kind: int
    time: float
    detail: float
    cv: Any = None


class _UsualData(msgspec.Struct, gc=False):
    source: Annotated[int, Meta(ge=0, le=int(max(Source)))] | None = None
    type: Any = None


class _Usual(msgspec.Struct, gc=False):
    """An event as nearly all are: known numbers, an object `data`, not packed."""

    type: Annotated[int, Meta(ge=0, le=int(max(EventType)))]
    timestamp: Annotated[float, Meta(ge=-LAST_TIME_MS, le=LAST_TIME_MS)]
    data: _UsualData
    cv: None = None


class Heads(NamedTuple):
    """The heads of several usual events."""

    kinds: bytes
    times: "array[float]"
    events: Sequence[_Usual]

    def detail(self, i: int) -> Any:
        """As in the event's Head, but of any type."""
        return self.events[i].data.type


class _Data(msgspec.Struct, gc=False):
    source: Any = None
    type: Any = None


class _Event(msgspec.Struct, gc=False):
    type: Any = None
    timestamp: Any = None
    data: _Data | list[Raw] | str | float | bool | None = None
    cv: Any = None


_usual = msgspec.json.Decoder(list[_Usual])
_fast = msgspec.json.Decoder(_Event).decode
_members = msgspec.json.Decoder(dict[str, Raw])
_NULL = Raw(b"null")
_strings = msgspec.json.Decoder(str)
_NEEDS_DATA = frozenset(map(int, (EventType.FULL_SNAPSHOT, EventType.INCREMENTAL_SNAPSHOT, EventType.META)))
_INCREMENT = int(EventType.INCREMENTAL_SNAPSHOT)

_LARGE_BYTES = 2048  # where looking at the ends takes less time than reading
_END_BYTES = 40
_BEGIN = re.compile(
    rb'\{"type":(?:%d,"data":\{"source":(?!%d,)[0-9]+(?=,)|[0-24-9],"data":\{)'
    % (EventType.INCREMENTAL_SNAPSHOT, Source.MOUSE_INTERACTION)  # of that one the inside is asked for
)
_END = re.compile(rb'\},"timestamp":[0-9.]+\}\Z')
_KIND_OF_TYPE = {int(t): kind(t, 0) for t in EventType}
_KIND_OF_SOURCE: dict[int | None, int] = {int(s): kind(_INCREMENT, s) for s in Source}


def read_heads(events: Sequence[Raw], sizes: Sequence[int]) -> Heads | None:
    """The heads of events that are valid JSON, of so many bytes; None where one of them needs `read_head`."""
    texts: Iterable[bytes | Raw] = events
    if max(sizes) >= _LARGE_BYTES:
        texts = [
            _without_inside(event) if size >= _LARGE_BYTES else event
            for event, size in zip(events, sizes, strict=True)
        ]
    try:
        heads = surrogates.decode(_usual, b"[%b]" % b",".join(texts))
        kinds = bytes(
            [
                _KIND_OF_TYPE[head.type] if head.type != _INCREMENT else _KIND_OF_SOURCE[head.data.source]
                for head in heads
            ]
        )
    except (msgspec.DecodeError, KeyError, RecursionError):  # KeyError: an increment without a source
        return None
    return Heads(kinds, array("d", [head.timestamp for head in heads]), heads)


def _without_inside(event: Raw) -> bytes | Raw:
    """The event without what only `data` is expected to hold; as it is where its two ends do not say enough.

    What recorders send begins with type, data and source and ends with the timestamp, and reading that takes no time.
    An event that has such ends and one of these names a second time in between (no writer of JSON does that, and RFC 8259
    leaves open what it means) counts as what its ends say.
    """
    view = memoryview(event)
    begin, end = _BEGIN.match(view), _END.search(view, len(view) - _END_BYTES)
    return begin[0] + end[0] if begin and end else event


def read_head(event: Raw | bytes, *, unpacked: bool = False) -> Head:
    """The head of an event that is a valid JSON object. Raises Rejected.

    A full snapshot that says it is packed (`cv`) may still lack its `data` object, unless it is `unpacked`.
    """
    try:
        got = _fast(event)
    except msgspec.DecodeError:
        return _read_slowly(event, unpacked)
    except RecursionError:
        raise Rejected("too_deep") from None
    event_type, time, data = got.type, got.timestamp, got.data
    if (
        type(event_type) is int
        and event_type >= 0
        and (type(time) is int or type(time) is float)
        and -LAST_TIME_MS <= time <= LAST_TIME_MS
    ):
        if event_type != _INCREMENT:
            if type(data) is _Data or event_type not in _NEEDS_DATA:
                return Head(kind(event_type, 0), float(time), -1, got.cv)
        elif type(data) is _Data and type(data.source) is int and data.source >= 0:
            detail = data.type
            known = type(detail) is int or type(detail) is float
            return Head(kind(event_type, data.source), float(time), detail if known else -1, got.cv)
    return _read_slowly(event, unpacked)


def _read_slowly(event: Raw | bytes, unpacked: bool) -> Head:
    try:
        members = surrogates.decode(_members, event)
        event_type = _integer(members.get("type"), "type")
        time = _number(members.get("timestamp"), "timestamp")
        source, detail = 0, -1
        cv = _text(members.get("cv"))
        if event_type in _NEEDS_DATA and (unpacked or not cv or event_type != EventType.FULL_SNAPSHOT):
            data = _data(members.get("data"))
            if event_type == EventType.INCREMENTAL_SNAPSHOT:
                source = _integer(data.get("source"), "source")
                detail = _small(data.get("type"))
    except RecursionError:
        raise Rejected("too_deep") from None
    return Head(kind(event_type, source), time, detail, cv)


def _data(value: Raw | None) -> dict[str, Raw]:
    if value is None or value == _NULL:
        raise Rejected("missing_data")
    if memoryview(value)[0] != ord("{"):
        raise Rejected("bad_data")
    return surrogates.decode(_members, value)


def _number(value: Raw | None, name: str) -> float:
    token = bytes(value) if value is not None else b"null"
    if token == b"null":
        raise Rejected(f"missing_{name}")
    if token[0] not in b"-0123456789":
        raise Rejected(f"bad_{name}")
    number = float(token)
    if not abs(number) <= LAST_TIME_MS:
        raise Rejected(f"bad_{name}")
    return number


def _integer(value: Raw | None, name: str) -> int:
    number = _number(value, name)
    if number < 0 or not number.is_integer():
        raise Rejected(f"bad_{name}")
    return int(number)


def _small(value: Raw | None) -> int:
    try:
        return _integer(value, "type")
    except Rejected:
        return -1


def _text(value: Raw | None) -> str | None:
    if value is None or memoryview(value)[0] != ord('"'):
        return None
    return surrogates.decode(_strings, value)
