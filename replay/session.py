"""A complete session: the JSON object that `POST /api/save-replay` carries, and what it says of itself before it is processed.

What is checked is what makes a body acceptable. It is stored as an envelope (`replay.envelope`) of the same bytes: events and
logs as they were sent, under the names that they have there. What is wrong inside an event or a log is found, counted and
kept when that is planned.
"""

import re
from array import array
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec import Raw

from replay import surrogates, units, utf8
from replay.batches import span
from replay.client import Client, client_of
from replay.envelope import BadEnvelope
from replay.events import Rejected, read_head, read_heads
from replay.moment import EPOCH, moment
from replay.rrweb import SOURCE_BASE, EventType, Source
from replay.runs import runs
from replay.unpack import EVENT_MAX_BYTES, unpack_string

NO_EVENTS = "Missing or invalid recording events"
NO_HASH = "Could not determine webstate hash from recording data"

_RUN_BYTES = 64 << 10
_UNPACK_BYTES = (
    EVENT_MAX_BYTES  # of all packed events together; those after that tell nothing before they are processed
)
_META, _RESIZE = int(EventType.META), SOURCE_BASE + Source.VIEWPORT_RESIZE
_PAGE = re.compile(r"([0-9a-f]{64})\.html")
_NULL = Raw(b"null")
_STRING, _ARRAY, _OBJECT = b'"[{'


class Opening(msgspec.Struct):
    """What a session says of itself. `started_at` and `ended_at` are the earliest and the latest time of its events, None
    where none is a time of a calendar; `html_hash` names the page that was recorded."""

    html_hash: str
    started_at: datetime | None
    ended_at: datetime | None
    client: Client


class Session(NamedTuple):
    """A session, and the envelope that is stored of it, in parts; they are slices of the body."""

    opening: Opening
    envelope: list[bytes | memoryview]


class _Sent(msgspec.Struct):
    events: list[Raw]
    consoleLogs: Raw = _NULL  # noqa: N815  # API.md's names
    networkLogs: Raw = _NULL  # noqa: N815
    clientInfo: Raw = _NULL  # noqa: N815


class _Event(msgspec.Struct):
    type: Any = None


class _Data(msgspec.Struct):
    href: Any = None
    width: Any = None
    height: Any = None


class _WithData(msgspec.Struct):
    data: _Data


_decoder = msgspec.json.Decoder(_Sent)
_types = msgspec.json.Decoder(_Event)
_data = msgspec.json.Decoder(_WithData)


def decode_session(body: bytearray) -> Session:
    """The session in `body`, which is changed while this runs, and is as before afterwards. Raises BadEnvelope."""
    if utf8.first_error(body) is not None:
        raise BadEnvelope(NO_EVENTS)
    try:
        sent = surrogates.decode(_decoder, body)
    except (msgspec.DecodeError, RecursionError):
        raise BadEnvelope(NO_EVENTS) from None
    firsts = {memoryview(event)[0] for event in sent.events}
    if not firsts or not firsts <= {_OBJECT, _STRING}:
        raise BadEnvelope(NO_EVENTS)
    seen = _Seen()
    seen.look(sent.events)
    page = _data_of(seen.meta)
    html_hash = _hash(page.href)
    if html_hash is None:
        raise BadEnvelope(NO_HASH)
    resize = _data_of(seen.resize)
    viewports = [(page.width, page.height), (resize.width, resize.height)]
    client = client_of(sent.clientInfo, viewports)
    started_at, ended_at = seen.span()
    return Session(Opening(html_hash, started_at, ended_at, client), _envelope(body, sent, started_at))


class _Seen:
    """What the events say that need not be looked into: their times, and the first ones of two kinds, in array order."""

    def __init__(self) -> None:
        self._times = array("d")
        self._kinds = bytearray()
        self.meta: bytes | Raw | None = None
        self.resize: bytes | Raw | None = None
        self._room = _UNPACK_BYTES

    def look(self, events: Sequence[Raw]) -> None:
        sizes = array("Q", [len(memoryview(event)) for event in events])
        for start, end in runs(sizes, _RUN_BYTES):
            run = events[start:end]
            if heads := read_heads(run, sizes[start:end]):
                self._times += heads.times
                self._kinds += heads.kinds
                if self.meta is None and (at := heads.kinds.find(_META)) >= 0:
                    self.meta = run[at]
                if self.resize is None and (at := heads.kinds.find(_RESIZE)) >= 0:
                    self.resize = run[at]
            else:
                for event in run:
                    self._look_into(event)

    def _look_into(self, event: Raw) -> None:
        plain: bytes | Raw = event
        if memoryview(event)[0] == _STRING:
            try:
                plain = unpack_string(event, self._room)
            except Rejected as rejected:
                if rejected.reason == "too_large":
                    self._room = 1  # the work was done all the same
                return
            self._room = max(self._room - len(plain), 1)
        try:
            head = read_head(plain)
        except Rejected:  # one without a time may still be the first of its kind
            if self.meta is None and _type_of(plain) == _META:
                self.meta = plain
            return
        self._times.append(head.time)
        self._kinds.append(head.kind)
        if self.meta is None and head.kind == _META:
            self.meta = plain
        if self.resize is None and head.kind == _RESIZE:
            self.resize = plain

    def span(self) -> tuple[datetime | None, datetime | None]:
        """The earliest and the latest time, in units as `replay.units` brings them to ms."""
        for place in units.in_seconds(self._times, self._kinds):
            self._times[place] *= 1000
        if not self._times:
            return None, None
        return moment(min(self._times)), moment(max(self._times))


def _type_of(event: bytes | Raw) -> Any:
    try:
        return surrogates.decode(_types, event).type
    except (msgspec.DecodeError, RecursionError):
        return None


def _data_of(event: bytes | Raw | None) -> _Data:
    try:
        return _Data() if event is None else surrogates.decode(_data, event).data
    except (msgspec.DecodeError, RecursionError):
        return _Data()


def _hash(href: object) -> str | None:
    """The 64 lower-case hex digits that are the name, before `.html`, of the last segment of a URL's path."""
    try:
        url = urlsplit(href if isinstance(href, str) else "")
    except ValueError:
        return None
    page = _PAGE.fullmatch(url.path.rpartition("/")[2])
    return page[1] if page and url.scheme else None


def _envelope(body: bytearray, sent: _Sent, started_at: datetime | None) -> list[bytes | memoryview]:
    start, end = span(body, sent.events)
    begin = b'{"started_at":"%b","events":[' % (started_at or EPOCH).isoformat().encode()
    parts: list[bytes | memoryview] = [begin, memoryview(body)[start:end], b"]"]
    for name, logs in ((b"console_logs", sent.consoleLogs), (b"network_logs", sent.networkLogs)):
        if logs != _NULL:  # what is no array is kept as the one entry of an array
            brackets = (b"", b"") if memoryview(logs)[0] == _ARRAY else (b"[", b"]")
            parts += [b',"%b":%b' % (name, brackets[0]), memoryview(logs), brackets[1]]
    if memoryview(sent.clientInfo)[0] == _OBJECT:
        parts += [b',"client_info":', memoryview(sent.clientInfo)]
    return [*parts, b"}"]
