"""Events that tell of nodes: snapshots, mutations, inputs and canvas mutations, decoded as far as masking asks.

Strings stay slices of the event's JSON; `offset` tells where in it. A shape that recorders do not send is not decoded: its
event is masked as if everything in it were a secret (`replay.mask`).
"""

from typing import Any

import msgspec
from msgspec import Raw, field

from replay import surrogates
from replay.addresses import address

NodeId = int | float | str | None

NULL = Raw(b"null")


class Node(msgspec.Struct, gc=False):
    """A node of a snapshot."""

    id: NodeId = None
    tag: str | None = field(name="tagName", default=None)
    attributes: dict[str, Raw] | None = None
    children: list["Node"] | None = field(name="childNodes", default=None)
    text: Raw = field(name="textContent", default=NULL)
    is_style: Any = field(name="isStyle", default=None)


class Text(msgspec.Struct, gc=False):
    """A text node's new text."""

    id: NodeId = None
    value: Raw = NULL


class Changed(msgspec.Struct, gc=False):
    """An element's new attributes."""

    id: NodeId = None
    attributes: dict[str, Raw] | None = None


class Added(msgspec.Struct, gc=False):
    """A node that is new, or elsewhere now."""

    parent: NodeId = field(name="parentId", default=None)
    node: Node | None = None


class Drawn(msgspec.Struct, gc=False):
    """A call of a canvas."""

    property: Any = None
    args: Raw = NULL


class Data(msgspec.Struct, gc=False):
    """`data` of any of these events."""

    node: Node | None = None
    texts: list[Text] | None = None
    attributes: list[Changed] | None = None
    adds: list[Added] | None = None
    id: NodeId = None
    text: Raw = NULL
    property: Any = None
    args: Raw = NULL
    commands: list[Drawn] | None = None


class _Event(msgspec.Struct, gc=False):
    data: Data


class NodeEvent:
    """An event that tells of nodes. Raises BadShape."""

    def __init__(self, event: memoryview) -> None:
        buffer: memoryview | bytearray = event
        try:
            try:
                self.data = _decoder.decode(event).data
            except msgspec.ValidationError:
                raise BadShape from None
            except msgspec.DecodeError:
                buffer = bytearray(event)
                with surrogates.mended(buffer):
                    self.data = _decoder.decode(buffer).data
        except (msgspec.DecodeError, RecursionError):
            raise BadShape from None
        self._buffer = buffer
        self._address = address(buffer)

    def offset(self, value: Raw) -> int:
        """Where in the event's JSON a value that was decoded from it begins."""
        return address(value) - self._address


class BadShape(Exception):
    """This event is not as recorders send it."""


_decoder = msgspec.json.Decoder(_Event)
