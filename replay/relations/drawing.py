"""Canvas, custom elements and fonts: sources 9, 16 and 10."""

from typing import Annotated, Any, NamedTuple

from replay.relations.columns import Double, Flag, Integer, Json, Key, Kind, Rest, Text
from replay.relations.entries import entry, put_entry
from replay.relations.gathered import Gathered
from replay.relations.increment import Rows
from replay.relations.shape import Part, Shape, flat, make
from replay.relations.styles import NOTHING
from replay.rrweb import CanvasContext


class CanvasMutation(NamedTuple):
    """A call, or with `setter` an assignment, on a canvas's context."""

    event_no: Key
    position: Key
    batched: Annotated[
        bool, Kind.FLAG, "it is one of the event's list of commands; legacy events are one command"
    ]
    id: Annotated[Integer, "the canvas's node"]
    type: Annotated[str | None, CanvasContext]
    property: Text
    args: Json
    setter: Flag
    rest: Rest


class CustomElement(NamedTuple):
    """A custom element was defined."""

    event_no: Key
    name: Text


class FontData(NamedTuple):
    """A font was loaded by script."""

    event_no: Key
    family: Text
    font_source: Text
    buffer: Annotated[Flag, "font_source holds the font itself"]


class FontDescriptor(NamedTuple):
    """A descriptor of that font."""

    event_no: Key
    position: Key
    name: Text
    value: Text
    number: Double
    flag: Flag
    rest: Rest


class _Canvas(NamedTuple):
    id: Integer
    type: Annotated[str | None, CanvasContext]


class _Command(NamedTuple):
    property: Text
    args: Json
    setter: Flag
    rest: Rest


class _CanvasCommand(NamedTuple):
    id: Integer
    type: Annotated[str | None, CanvasContext]
    property: Text
    args: Json
    setter: Flag


_CANVAS = Shape(_Canvas, [Part("commands", list)], given=0, ignored="source")
_COMMAND = Shape(_Command, given=0)
_CANVAS_COMMAND = Shape(_CanvasCommand, given=0, ignored="source")
_ELEMENT = Shape(CustomElement, given=2, ignored="source")
_FONT = Shape(FontData, [Part("descriptors", dict)], ignored="source")


class CanvasMutations:
    """Source 9: each command is a row, and repeats what canvas it is of."""

    def rows(self, event_no: int, data: dict[str, Any]) -> Rows:
        rest: str | None
        if "commands" not in data:
            values = _CANVAS_COMMAND.read((), data)
            yield make(CanvasMutation, (event_no, 0, False, *values[: _CANVAS_COMMAND.width], None))
            rest = values[-1]
            return rest
        values = _CANVAS.read((), data)
        id_, kind, commands = values[:3]
        if not commands:
            values = NOTHING.read((event_no,), data)
        for position, command in enumerate(commands or ()):
            columns = _COMMAND.read((), command)[: _COMMAND.width]
            yield make(CanvasMutation, (event_no, position, True, id_, kind, *columns))
        rest = values[-1]
        return rest

    def data_of(self, found: Gathered) -> dict[str, Any]:
        rows = found.sorted(CanvasMutation)
        if not rows:
            return {}
        if not rows[0].batched:
            return _CANVAS_COMMAND.members(make(_CanvasCommand, rows[0][3:-1]))
        data = _CANVAS.members(make(_Canvas, rows[0][3:5]))
        data["commands"] = [_COMMAND.members(make(_Command, row[5:])) for row in rows]
        return data


class CustomElements:
    """Source 16."""

    def rows(self, event_no: int, data: dict[str, Any]) -> Rows:
        data, (name,) = flat(data, "define", {"name": (str,)})
        values = _ELEMENT.read((event_no, name), data)
        yield make(CustomElement, values[: _ELEMENT.width])
        rest: str | None = values[-1]
        return rest

    def data_of(self, found: Gathered) -> dict[str, Any]:
        name = found.one(CustomElement).name
        return {} if name is None else {"define": {"name": name}}


class Fonts:
    """Source 10."""

    def rows(self, event_no: int, data: dict[str, Any]) -> Rows:
        values = _FONT.read((event_no,), data)
        yield make(FontData, values[: _FONT.width])
        descriptors: dict[str, Any] = values[_FONT.width] or {}
        for position, (name, value) in enumerate(descriptors.items()):
            yield make(FontDescriptor, (event_no, position, *entry(name, value)))
        rest: str | None = values[-1]
        return rest

    def data_of(self, found: Gathered) -> dict[str, Any]:
        data = _FONT.members(found.one(FontData))
        for row in found.sorted(FontDescriptor):
            put_entry(data.setdefault("descriptors", {}), row[2:])
        return data
