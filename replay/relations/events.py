"""Events, and the data of those that are no increments."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Annotated, Any, NamedTuple

from replay.relations import mutations
from replay.relations.columns import Double, Json, Key, Rest, Text
from replay.relations.drawing import CanvasMutations, CustomElements, Fonts
from replay.relations.gathered import Gathered
from replay.relations.increment import Increment
from replay.relations.interactions import (
    InputData,
    Listed,
    MediaInteractionData,
    MouseInteractionData,
    MousemoveData,
    MousePosition,
    ScrollData,
    SelectionData,
    SelectionRange,
    Single,
    ViewportResizeData,
)
from replay.relations.logs import NETWORK, RECORDED_CONSOLE, ConsoleLog, LegacyLogs, NetworkRequest
from replay.relations.nodes import (
    SerializedNode,
    SerializedNodeAttribute,
    SerializedNodeChild,
    node_rows,
    nodes_of,
)
from replay.relations.shape import Part, Shape, flat, make, overlay
from replay.relations.styles import AdoptedStyleSheets, StyleDeclarations, StyleSheetRules
from replay.relations.values import dump, plain
from replay.rrweb import CONSOLE_PLUGIN, NETWORK_PLUGIN, EventType, Source


class Event(NamedTuple):
    """An event of the tape; its data are in the tables of its type."""

    event_no: Annotated[Key, "its place in the tape, from 0"]
    type: Annotated[str | None, EventType]
    timestamp: Annotated[Double, "ms since 1970, with fractions"]
    delay: Annotated[Double, "ms; legacy"]
    window_id: Annotated[Text, "the tab, where the client named it"]
    rest: Rest


class MetaEvent(NamedTuple):
    """A page: its URL and the size of the window."""

    event_no: Key
    href: Text
    width: Annotated[Double, "CSS px"]
    height: Double
    rest: Rest


class FullSnapshotEvent(NamedTuple):
    """The whole page; its document is serialized_node 0 of the event."""

    event_no: Key
    initial_offset_left: Annotated[Double, "CSS px"]
    initial_offset_top: Double
    rest: Rest


class IncrementalSnapshotEvent(NamedTuple):
    """A change; what changed is in the tables of its source."""

    event_no: Key
    source: Annotated[str | None, Source]
    rest: Rest


class CustomEvent(NamedTuple):
    """An event that the page or the client made up."""

    event_no: Key
    tag: Text
    url: Text
    payload: Json
    rest: Rest


class PluginEvent(NamedTuple):
    """An event of a recorder's plugin."""

    event_no: Key
    plugin: Text
    payload: Annotated[Json, "but for what is in console_log and network_request"]
    rest: Rest


Rows = Iterator[tuple[Any, ...]]
Members = dict[str, Any]

_EVENT = Shape(Event, [Part("data", dict, required=True)])
_EVENT_OF_NO_TABLE = Shape(Event)
_META = Shape(MetaEvent)
_SNAPSHOT = Shape(FullSnapshotEvent, [Part("node", dict, required=True)], given=3)
_CUSTOM = Shape(CustomEvent)
_PLUGIN = Shape(PluginEvent)
_OFFSET = {"left": (int, float), "top": (int, float)}

_SOURCES: dict[Source, Increment] = {
    Source.MUTATION: mutations.Mutations(),
    Source.MOUSE_MOVE: Listed(MousemoveData, "positions", MousePosition),
    Source.MOUSE_INTERACTION: Single(MouseInteractionData),
    Source.SCROLL: Single(ScrollData),
    Source.VIEWPORT_RESIZE: Single(ViewportResizeData),
    Source.INPUT: Single(InputData),
    Source.TOUCH_MOVE: Listed(MousemoveData, "positions", MousePosition),
    Source.MEDIA_INTERACTION: Single(MediaInteractionData),
    Source.STYLE_SHEET_RULE: StyleSheetRules(),
    Source.CANVAS_MUTATION: CanvasMutations(),
    Source.FONT: Fonts(),
    Source.LOG: LegacyLogs(),
    Source.DRAG: Listed(MousemoveData, "positions", MousePosition),
    Source.STYLE_DECLARATION: StyleDeclarations(),
    Source.SELECTION: Listed(SelectionData, "ranges", SelectionRange),
    Source.ADOPTED_STYLE_SHEET: AdoptedStyleSheets(),
    Source.CUSTOM_ELEMENT: CustomElements(),
}
_BY_NUMBER: dict[Any, tuple[str, Increment]] = {
    int(source): (source.name.lower(), handler) for source, handler in _SOURCES.items()
}


def event_rows(event_no: int, event: Members) -> Rows:
    """The rows of one event. Takes it apart."""
    kind, data = event.get("type"), event.get("data")
    data_rows = _DATA_ROWS.get(kind) if type(kind) in (int, float) else None
    shape = _EVENT if data_rows or not data else _EVENT_OF_NO_TABLE
    row = make(Event, shape.read((event_no,), event)[: shape.width])
    return chain((row,), data_rows(event_no, data) if data_rows and type(data) is dict else ())


def event_of(found: Gathered) -> Members:
    """The event that has these rows."""
    members = _EVENT.members(found.one(Event))
    for row, data_of in _DATA_OF.items():
        if row in found:
            members["data"] = data_of(found)
    return members


def _meta_rows(event_no: int, data: Members) -> Rows:
    yield _META.make((event_no,), data)


def _meta_of(found: Gathered) -> Members:
    return _META.members(found.one(MetaEvent))


def _snapshot_rows(event_no: int, data: Members) -> Rows:
    data, offset = flat(data, "initialOffset", _OFFSET)
    values = _SNAPSHOT.read((event_no, *offset), data)
    yield make(FullSnapshotEvent, values[: _SNAPSHOT.width])
    node = values[_SNAPSHOT.width]
    if node is not None:
        yield from node_rows(event_no, 0, node)


def _snapshot_of(found: Gathered) -> Members:
    row = found.one(FullSnapshotEvent)
    data = _SNAPSHOT.members(row)
    offset = {"left": row.initial_offset_left, "top": row.initial_offset_top}
    if row.initial_offset_left is not None:
        data["initialOffset"] = {name: plain(value) for name, value in offset.items() if value is not None}
    if SerializedNode in found:
        nodes = nodes_of(found[SerializedNode], found[SerializedNodeChild], found[SerializedNodeAttribute])
        data["node"] = nodes[0]
    return data


def _increment_rows(event_no: int, data: Members) -> Rows:
    source = data.get("source")
    known = _BY_NUMBER.get(source) if type(source) in (int, float) else None
    if known is None:
        yield IncrementalSnapshotEvent(event_no, None, dump(data) if data else None)
        return
    name, handler = known
    rest = yield from handler.rows(event_no, data)
    yield IncrementalSnapshotEvent(event_no, name, rest)


def _increment_of(found: Gathered) -> Members:
    row = found.one(IncrementalSnapshotEvent)
    data: Members = {}
    if row.source is not None:
        source = Source[row.source.upper()]
        data = {"source": int(source)} | _SOURCES[source].data_of(found)
    overlay(data, row.rest)
    return data


def _custom_rows(event_no: int, data: Members) -> Rows:
    yield _CUSTOM.make((event_no,), data)


def _custom_of(found: Gathered) -> Members:
    return _CUSTOM.members(found.one(CustomEvent))


def _plugin_rows(event_no: int, data: Members) -> Rows:
    plugin, payload = data.get("plugin"), data.get("payload")
    if plugin == CONSOLE_PLUGIN and type(payload) is dict:
        yield RECORDED_CONSOLE.make((event_no, 0), payload)
        data = {name: value for name, value in data.items() if name != "payload"}
    elif plugin == NETWORK_PLUGIN and type(payload) is dict:
        requests = payload.get("requests")
        if type(requests) is list and requests and all(type(each) is dict for each in requests):
            for position, request in enumerate(requests):
                yield NETWORK.make((event_no, position), request)
            others = {name: value for name, value in payload.items() if name != "requests"}
            data = {**data, "payload": others}
    yield _PLUGIN.make((event_no,), data)


def _plugin_of(found: Gathered) -> Members:
    data = _PLUGIN.members(found.one(PluginEvent))
    if ConsoleLog in found:
        data["payload"] = RECORDED_CONSOLE.members(found.one(ConsoleLog))
    if NetworkRequest in found:
        data["payload"]["requests"] = [NETWORK.members(row) for row in found.sorted(NetworkRequest)]
    return data


_DATA_ROWS: dict[Any, Callable[[int, Members], Rows]] = {
    int(EventType.META): _meta_rows,
    int(EventType.FULL_SNAPSHOT): _snapshot_rows,
    int(EventType.INCREMENTAL_SNAPSHOT): _increment_rows,
    int(EventType.CUSTOM): _custom_rows,
    int(EventType.PLUGIN): _plugin_rows,
}
_DATA_OF: dict[type[Any], Callable[[Gathered], Members]] = {
    MetaEvent: _meta_of,
    FullSnapshotEvent: _snapshot_of,
    IncrementalSnapshotEvent: _increment_of,
    CustomEvent: _custom_of,
    PluginEvent: _plugin_of,
}
