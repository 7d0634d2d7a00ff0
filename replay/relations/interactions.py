"""What a person does: the pointer, scrolling, resizing, input, media, selecting."""

from typing import Annotated, Any, NamedTuple

from replay.relations.columns import Double, Flag, Integer, Key, Rest, Text
from replay.relations.gathered import Gathered
from replay.relations.increment import Rows
from replay.relations.shape import Part, Shape, make
from replay.rrweb import MediaInteraction, MouseInteraction, Pointer


class MousemoveData(NamedTuple):
    """That an increment (mouse_move, touch_move or drag) tells where the pointer was."""

    event_no: Key
    pointer_id: Integer


class MousePosition(NamedTuple):
    """One of those places."""

    event_no: Key
    position: Key
    x: Annotated[Double, "CSS px"]
    y: Double
    id: Annotated[Integer, "the node under the pointer"]
    time_offset: Annotated[Double, "ms from the event's timestamp, usually before it"]
    rest: Rest


class MouseInteractionData(NamedTuple):
    """A click, a touch, a focus and their like."""

    event_no: Key
    type: Annotated[str | None, MouseInteraction]
    id: Integer
    x: Annotated[Double, "CSS px"]
    y: Double
    pointer_type: Annotated[str | None, Pointer]
    pointer_id: Integer


class ScrollData(NamedTuple):
    """A node was scrolled."""

    event_no: Key
    id: Integer
    x: Annotated[Double, "CSS px"]
    y: Double


class ViewportResizeData(NamedTuple):
    """The window has a new size."""

    event_no: Key
    width: Annotated[Double, "CSS px"]
    height: Double


class InputData(NamedTuple):
    """An input has a new value."""

    event_no: Key
    id: Integer
    text: Text
    is_checked: Flag
    user_triggered: Flag


class MediaInteractionData(NamedTuple):
    """An audio or video element was played, paused, changed."""

    event_no: Key
    type: Annotated[str | None, MediaInteraction]
    id: Integer
    current_time: Annotated[Double, "s"]
    volume: Double
    muted: Flag
    loop: Flag
    playback_rate: Double


class SelectionData(NamedTuple):
    """That an increment tells what is selected."""

    event_no: Key


class SelectionRange(NamedTuple):
    """One selected range."""

    event_no: Key
    position: Key
    start: Annotated[Integer, "a node"]
    start_offset: Integer
    end: Annotated[Integer, "a node"]
    end_offset: Integer
    rest: Rest


class Single:
    """Data that are one row."""

    def __init__(self, row: type[Any]) -> None:
        self._shape: Shape[Any] = Shape(row, ignored="source")

    def rows(self, event_no: int, data: dict[str, Any]) -> Rows:
        values = self._shape.read((event_no,), data)
        yield make(self._shape.row, values[: self._shape.width])
        rest: str | None = values[-1]
        return rest

    def data_of(self, found: Gathered) -> dict[str, Any]:
        return self._shape.members(found.one(self._shape.row))


class Listed:
    """Data that are one row and a list of others."""

    def __init__(self, row: type[Any], name: str, item: type[Any]) -> None:
        self._shape: Shape[Any] = Shape(row, [Part(name, list, required=True)], ignored="source")
        self._item: Shape[Any] = Shape(item, given=2)
        self._name = name

    def rows(self, event_no: int, data: dict[str, Any]) -> Rows:
        values = self._shape.read((event_no,), data)
        yield make(self._shape.row, values[: self._shape.width])
        for position, item in enumerate(values[self._shape.width] or ()):
            yield self._item.make((event_no, position), item)
        rest: str | None = values[-1]
        return rest

    def data_of(self, found: Gathered) -> dict[str, Any]:
        data = self._shape.members(found.one(self._shape.row))
        data[self._name] = [self._item.members(item) for item in found.sorted(self._item.row)]
        return data
