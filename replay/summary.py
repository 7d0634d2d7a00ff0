"""What a recording holds, in figures: the account of its events, its summary and its pages."""

import math
from array import array
from collections import Counter
from collections.abc import Iterable
from itertools import compress
from operator import sub
from typing import Any

import msgspec
from msgspec import Raw

from replay import surrogates
from replay.envelope import Navigation
from replay.live_tally import LiveTally, decoded
from replay.rrweb import (
    CONSOLE_PLUGIN,
    INTERACTIONS,
    KIND_NAMES,
    NETWORK_PLUGIN,
    SOURCE_BASE,
    UNKNOWN_SOURCE,
    EventType,
    MouseInteraction,
    Source,
)
from replay.tape import Recorded

ACTIVE_GAP_MS = 5000  # a pause between two interactions that still counts as activity
NAVIGATIONS_MAX = 1000  # they are part of every answer that shows a recording
HREF_MAX = 2048  # characters of a page's URL that are kept there; the tape keeps all
VIEWPORT_MAX = 1_000_000  # px; beyond it a number is no viewport

_CLICK = int(MouseInteraction.CLICK)
_META = int(EventType.META)
_CUSTOM = int(EventType.CUSTOM)
_PLUGIN = int(EventType.PLUGIN)
_INPUT = SOURCE_BASE + Source.INPUT
_SCROLL = SOURCE_BASE + Source.SCROLL
_MOUSE_INTERACTION = SOURCE_BASE + Source.MOUSE_INTERACTION
_VIEWPORT_RESIZE = SOURCE_BASE + Source.VIEWPORT_RESIZE
_LOG = SOURCE_BASE + Source.LOG

# Tables for bytes.translate: 1 for these kinds.
_LOOKED_AT = (_MOUSE_INTERACTION, _META, _PLUGIN, _VIEWPORT_RESIZE, _LOG)
_IS_TALLIED = bytes(kind in _LOOKED_AT for kind in range(256))
_IS_TALLIED_LIVE = bytes(kind in (*_LOOKED_AT, _CUSTOM) for kind in range(256))
_IS_INTERACTION = bytes(kind in INTERACTIONS for kind in range(256))


class Account(msgspec.Struct):
    """What happened to every event: received = stored + duplicate + rejected. `bytes` is the stored events' JSON."""

    received: int = 0
    stored: int = 0
    duplicate: int = 0
    rejected: int = 0
    bytes: int = 0


class Viewport(msgspec.Struct):
    """CSS pixels."""

    width: int | float
    height: int | float


class Summary(msgspec.Struct):
    """API.md's `summary`. `bytes_by_type` adds up to the account's `bytes`."""

    clicks: int = 0
    inputs: int = 0
    scrolls: int = 0
    pages: int = 0
    active_ms: int = 0
    console_errors: int = 0
    network_errors: int = 0
    viewport: Viewport | None = None
    bytes_by_type: dict[str, int] = {}


class _Data(msgspec.Struct):
    href: Any = None
    width: Any = None
    height: Any = None
    level: Any = None
    plugin: Any = None
    payload: Raw = Raw(b"null")


class _Looked(msgspec.Struct):
    data: _Data


class _Level(msgspec.Struct):
    level: Any = None


class _Status(msgspec.Struct):
    status: Any = None


class _Requests(msgspec.Struct):
    requests: list[_Status] = []


_looked = msgspec.json.Decoder(_Looked)
_level = msgspec.json.Decoder(_Level)
_status = msgspec.json.Decoder(_Status)
_requests = msgspec.json.Decoder(_Requests)


class Tally:
    """Gathers, event by event in the order of arrival, what the summary needs.

    `live`: custom events count as what they say happened (`replay.live_payload`). `is_tallied` is a table for
    bytes.translate, 1 for the kinds of the events that `add` wants.
    """

    def __init__(self, *, live: bool = False) -> None:
        self.is_tallied = _IS_TALLIED_LIVE if live else _IS_TALLIED
        self.summary = Summary()
        self._live = LiveTally(HREF_MAX)
        self.pages: dict[int, str] = {}  # place in the order of arrival → url
        self._meta_viewport: dict[int, Viewport] = {}
        self._resized_viewport: dict[int, Viewport] = {}

    def add(self, place: int, event: bytes | Raw, kind: int, detail: Any) -> None:
        """An event of a kind that `is_tallied`; `event` is the stored JSON, `detail` as in its head."""
        if kind == _MOUSE_INTERACTION:
            self.summary.clicks += detail == _CLICK
        elif kind == _CUSTOM:
            self._live.add(place, event)
        else:
            self._look_into(place, event, kind)

    def add_logs(self, console: Iterable[Raw], network: Iterable[Raw]) -> None:
        """Logs that came beside the events."""
        for log in console:
            self._count_level(log)
        for request in network:
            self._count_statuses(decoded(_status, request))

    def finish(self, recorded: Recorded, times: "array[float]") -> Summary:
        """The summary of all that is `recorded`; `times` are in the order of arrival."""
        summary, kinds, live = self.summary, recorded.kinds, self._live
        summary.clicks += live.clicks
        summary.pages = kinds.count(_META) + live.navigations
        summary.inputs = kinds.count(_INPUT) + live.inputs
        summary.scrolls = kinds.count(_SCROLL) + live.scrolls
        summary.console_errors += live.console_errors
        summary.network_errors += live.network_errors
        summary.active_ms = round(_active_ms(recorded, [times[place] for place in live.interactions]))
        summary.bytes_by_type = _bytes_by_type(recorded)
        live_viewport: dict[int, Viewport] = {}
        for place, (width, height) in live.resized.items():
            _note_viewport(live_viewport, place, width, height)
        for found in (self._meta_viewport, self._resized_viewport, live_viewport):
            if found and summary.viewport is None:
                summary.viewport = found[min(found, key=lambda place: (times[place], place))]
        return summary

    def navigations(self, times: "array[float]", start: float) -> list[Navigation]:
        """The pages in playing order, in whole ms from `start`; `times` as in `finish`. The first ones, when they are too many."""
        pages = self.pages | self._live.pages
        places = sorted(pages, key=lambda place: (times[place], place))
        return [
            Navigation(pages[place], math.floor(times[place] - start)) for place in places[:NAVIGATIONS_MAX]
        ]

    def _look_into(self, place: int, event: bytes | Raw, kind: int) -> None:
        looked = decoded(_looked, event)
        if looked is None:
            return
        data = looked.data
        if kind == _META:
            if isinstance(data.href, str):
                self.pages[place] = surrogates.storable(data.href[:HREF_MAX])
            _note_viewport(self._meta_viewport, place, data.width, data.height)
        elif kind == _VIEWPORT_RESIZE:
            _note_viewport(self._resized_viewport, place, data.width, data.height)
        elif kind == _LOG:
            self.summary.console_errors += data.level == "error"
        elif data.plugin == CONSOLE_PLUGIN:
            self._count_level(data.payload)
        elif data.plugin == NETWORK_PLUGIN:
            requests = decoded(_requests, data.payload)
            self._count_statuses(*(requests.requests if requests else ()))

    def _count_level(self, log: Raw) -> None:
        found = decoded(_level, log)
        self.summary.console_errors += found is not None and found.level == "error"

    def _count_statuses(self, *requests: _Status | None) -> None:
        for request in requests:
            if request is not None and type(request.status) in (int, float):
                self.summary.network_errors += request.status == 0 or request.status >= 400


def _note_viewport(found: dict[int, Viewport], place: int, width: Any, height: Any) -> None:
    if all(type(side) in (int, float) and 0 < side <= VIEWPORT_MAX for side in (width, height)):
        found[place] = Viewport(width, height)


def _bytes_by_type(recorded: Recorded) -> dict[str, int]:
    sizes = [0] * (UNKNOWN_SOURCE + 1)
    for kind, size in zip(recorded.kinds, recorded.sizes, strict=True):
        sizes[kind] += size
    names = Counter[str]()
    for kind, size in enumerate(sizes):
        if size:
            names[KIND_NAMES[kind]] += size
    return dict(sorted(names.items()))


def _active_ms(recorded: Recorded, others: list[float]) -> float:
    """Of the interactions among the events, and of those at other times."""
    times = list(compress(recorded.times, recorded.kinds.translate(_IS_INTERACTION)))
    if others:
        times = sorted(times + others)
    gaps: Iterable[float] = map(sub, times[1:], times)
    return sum([gap for gap in gaps if gap <= ACTIVE_GAP_MS])
