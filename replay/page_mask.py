"""The second pass of masking: what is a secret because of the node that holds it, page by page."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec import Raw

from replay import surrogates
from replay.elements import Identity, names_of
from replay.fields import fields
from replay.fill import fill_value
from replay.mask import Mask, Masker
from replay.nodes import BadShape, NodeEvent, NodeId
from replay.pages import Page
from replay.rrweb import SOURCE_BASE, EventType, Source

_SNAPSHOT = int(EventType.FULL_SNAPSHOT)
_INPUT = SOURCE_BASE + Source.INPUT
# A table for bytes.translate: 1 for the kinds of events that tell of nodes.
_TELLS_OF_NODES = bytes(
    kind in (_SNAPSHOT, _INPUT, SOURCE_BASE + Source.MUTATION, SOURCE_BASE + Source.CANVAS_MUTATION)
    for kind in range(256)
)
_NULL = ord("n")
_CARD_MIN = 13
_NAMES_MAX = 100  # of inputs: to look for more takes longer than to learn a page
_MASKED = frozenset(b'"* ')


class Window(msgspec.Struct):
    """The names under which recorders say which window an event is from."""

    windowId: Any = None  # noqa: N815  # their name
    window_id: Any = None
    sid: Any = msgspec.field(name="_sid", default=None)


_WINDOW_MARKS = (b'"windowId"', b'"window_id"', b'"_sid"')
_window = msgspec.json.Decoder(Window)


class Marked(NamedTuple):
    """The places of events in which the first pass saw marks (`replay.elements.Marks`)."""

    secrets: set[int]
    hiding: set[int]


class Events(Protocol):
    """Events as this pass needs them; places count in the order of arrival."""

    kinds: bytearray

    def may_tell_windows(self) -> bool:
        """Whether events may say which window they are from."""

    def outside(self, place: int) -> bytes | Raw:
        """An event's JSON, members of its `data` still packed."""

    def editable(self, place: int) -> tuple[bytearray, int, int]:
        """An event's JSON, `buffer[start:end]`, to be read and overwritten."""

    def edited(self, place: int, buffer: bytearray) -> None:
        """The event was overwritten in the buffer that `editable` gave."""


def tells_windows(text: bytes | bytearray | Raw) -> bool:
    """Whether events in this JSON text may say which window they are from."""
    view = bytes(text) if isinstance(text, Raw) else text
    return any(mark in view for mark in _WINDOW_MARKS)


def mask_pages(events: Events, order: Sequence[int], marked: Marked, mask: Mask) -> None:
    """Mask in place what nodes hold; `order` is the playing order.

    Followed node by node are pages with elements that hide something. Of others only what may tell of a password input is
    decoded.
    """
    masker = mask.masker
    everywhere = masker.strict or bool(masker.selectors)
    if not (marked.secrets or marked.hiding or everywhere):
        return
    tells = bytes(map(events.kinds.__getitem__, order)).translate(_TELLS_OF_NODES)
    for pages in _split(events, compress(order, tells), masker):
        for page in pages:
            page.is_tree = everywhere or not marked.hiding.isdisjoint(page.places)
            _learn(
                events,
                page,
                page.places if page.is_tree else marked.secrets.intersection(page.places),
                marked,
            )
        nameless: dict[NodeId, str] = {}
        _carry(events, pages, marked, nameless)
        _carry(events, reversed(pages), marked, nameless)
        for page in pages:
            strict = masker.strict or page.is_opaque
            if strict or page.secrets or page.elsewhere or page.hides_elements:
                for place in page.places:
                    if strict or page.hides_elements or _may_hold_value(events, place):
                        _mask_event(events, place, page, strict, mask)


def _split(events: Events, places: Iterable[int], masker: Masker) -> Iterable[list[Page]]:
    """The pages of each window, with the places of their events."""
    windows: dict[object, list[Page]] = {}
    told = events.may_tell_windows()
    for place in places:
        pages = windows.setdefault(_window_of(events, place) if told else None, [])
        if not pages or events.kinds[place] == _SNAPSHOT:
            pages.append(Page(masker.selectors, builtin=masker.builtin))
        pages[-1].places.append(place)
    return windows.values()


def _window_of(events: Events, place: int) -> object:
    try:
        window = surrogates.decode(_window, events.outside(place))
    except (msgspec.DecodeError, RecursionError):
        return None
    return str(window.windowId or window.window_id or window.sid or "")


def _learn(events: Events, page: Page, places: Iterable[int], marked: Marked) -> None:
    for place in places:
        is_input = events.kinds[place] == _INPUT
        if is_input and place not in marked.secrets:
            continue
        buffer, start, end = events.editable(place)
        try:
            data = NodeEvent(memoryview(buffer)[start:end]).data
        except BadShape:
            page.is_opaque = True
            continue
        if not is_input:
            page.learn(data)
        elif _is_masked(data.text):  # a card number: what was typed before its last digit tells it, too
            page.secrets.setdefault(data.id, "card_number")
    page.match_selectors()


def _may_hold_value(events: Events, place: int) -> bool:
    """Whether an event may hold an input's value; not that its name is escaped, which none of them does."""
    if events.kinds[place] == _INPUT:
        return True
    buffer, start, end = events.editable(place)
    return buffer.find(b'"value"', start, end) >= 0


def _is_masked(text: Raw) -> bool:
    return len(memoryview(text)) > _CARD_MIN and set(memoryview(text)) <= _MASKED


def _carry(events: Events, pages: Iterable[Page], marked: Marked, nameless: dict[NodeId, str]) -> None:
    """An input that is a secret on one page is one on the next, too, while it is there: by id, tag and names.

    `nameless`, which grows, are secrets that no event brought as an input: they are on every page on which no other has their id.
    """
    known: dict[NodeId, tuple[Identity, str]] = {}
    for page in pages:
        if not page.is_tree and (nameless or (known and _mentions(events, page, known))):
            _learn(events, page, page.places, marked)
        is_whole = events.kinds[page.places[0]] == _SNAPSHOT
        for node in known.keys() & page.inputs.keys() if is_whole else known:
            identity, rule = known[node]
            if page.inputs.get(node, identity) == identity:
                page.secrets.setdefault(node, rule)
        page.elsewhere = nameless
        known = {}
        for node, rule in page.secrets.items():
            if identity_here := page.inputs.get(node):
                known[node] = identity_here, rule
            else:
                nameless[node] = rule


def _mentions(events: Events, page: Page, known: Mapping[NodeId, tuple[Identity, str]]) -> bool:
    """Whether a page may have one of these inputs: one of their names stands anywhere on it, or they have none."""
    names = {b'"%b"' % name if name else b"" for identity, _ in known.values() for name in names_of(identity)}
    return len(names) > _NAMES_MAX or any(
        buffer.find(name, start, end) >= 0
        for buffer, start, end in map(events.editable, page.places)
        for name in names
    )


def _mask_event(events: Events, place: int, page: Page, strict: bool, mask: Mask) -> None:
    buffer, start, end = events.editable(place)
    changed = 0
    try:
        event = NodeEvent(memoryview(buffer)[start:end])
    except BadShape:
        changed = mask.blank(buffer, start, end)
    else:
        for value, rule in fields(event.data, page, strict=strict):
            if memoryview(value)[0] != _NULL:
                at = start + event.offset(value)
                if count := fill_value(buffer, at)[1]:
                    changed += count
                    mask.found(rule, at)
    if changed:
        events.edited(place, buffer)
