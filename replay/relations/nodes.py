"""Serialized nodes, those of full snapshots and those that mutations add.

`node_no` counts an event's nodes from 0 in document order, the trees of a mutation's adds one after the other: rrweb's own
ids come again within a recording, so they are a column and no key. Walking down is a loop: depth has no limit.
"""

from collections import defaultdict
from collections.abc import Generator, Iterable
from itertools import repeat
from typing import Annotated, Any, NamedTuple

from replay.relations.columns import Double, Flag, Integer, Key, Kind, Member, Rest, Text
from replay.relations.entries import entry, put_entry
from replay.relations.shape import Part, Shape, make
from replay.rrweb import NodeType


class SerializedNode(NamedTuple):
    """A node of the page, as a full snapshot or a mutation brings it."""

    event_no: Key
    node_no: Annotated[Key, "its place in document order"]
    id: Annotated[Integer, "rrweb's; no key"]
    type: Annotated[str | None, NodeType]
    tag_name: Text
    text_content: Text
    is_style: Flag
    is_svg: Annotated[Flag, Member("isSVG")]
    is_custom: Flag
    is_shadow_host: Flag
    is_shadow: Annotated[Flag, "a child of its parent's shadow root"]
    need_block: Flag
    root_id: Annotated[Integer, "the document it belongs to, where that is a frame's"]
    compat_mode: Text
    name: Annotated[Text, "of a document type"]
    public_id: Text
    system_id: Text
    rest: Rest


class SerializedNodeChild(NamedTuple):
    """That a node is a child of another, and which in order."""

    event_no: Key
    node_no: Annotated[Key, "the parent"]
    position: Key
    child_no: Annotated[int, Kind.INTEGER, "the child's node_no"]


class SerializedNodeAttribute(NamedTuple):
    """An attribute of an element; recorders add some of their own: rr_scrollTop, _cssText."""

    event_no: Key
    node_no: Key
    position: Key
    name: Text
    value: Text
    number: Double
    flag: Flag
    rest: Rest


NodeRow = SerializedNode | SerializedNodeChild | SerializedNodeAttribute


def _shape(attributes: bool, children: bool) -> Shape[SerializedNode]:
    parts = (Part("attributes", dict, attributes), Part("childNodes", list, children))
    return Shape(SerializedNode, parts, given=2)


_OTHER = _shape(False, False)
_SHAPES = {
    NodeType.DOCUMENT: _shape(False, True),
    NodeType.ELEMENT: _shape(True, True),
}
_BY_NUMBER: dict[Any, Shape[SerializedNode]] = {int(kind): shape for kind, shape in _SHAPES.items()}
_BY_NAME: dict[str | None, Shape[SerializedNode]] = {
    kind.name.lower(): shape for kind, shape in _SHAPES.items()
}
_ATTRIBUTES_AT, _CHILDREN_AT = _OTHER.width, _OTHER.width + 1


def node_rows(event_no: int, node_no: int, root: dict[str, Any]) -> Generator[NodeRow, None, int]:
    """The rows of a tree whose root is this node; returns the number of the next node. Takes the tree apart."""
    nodes: list[tuple[dict[str, Any], int, int]] = [(root, -1, 0)]
    while nodes:
        node, parent_no, position = nodes.pop()
        kind = node.get("type")
        shape = _BY_NUMBER.get(kind, _OTHER) if type(kind) is int else _OTHER
        values = shape.read((event_no, node_no), node)
        yield make(SerializedNode, values[:_ATTRIBUTES_AT])
        if parent_no >= 0:
            yield make(SerializedNodeChild, (event_no, parent_no, position, node_no))
        attributes, children = values[_ATTRIBUTES_AT], values[_CHILDREN_AT]
        if attributes:
            for at, (name, value) in enumerate(attributes.items()):
                yield make(SerializedNodeAttribute, (event_no, node_no, at, *entry(name, value)))
        if children:
            last = len(children) - 1
            nodes.extend(zip(reversed(children), repeat(node_no), range(last, -1, -1), strict=False))
        node.clear()
        node_no += 1
    return node_no


def nodes_of(
    nodes: Iterable[SerializedNode],
    children: Iterable[SerializedNodeChild],
    attributes: Iterable[SerializedNodeAttribute],
) -> dict[int, dict[str, Any]]:
    """The nodes of one event by their numbers, each with its attributes and children."""
    found = {row.node_no: _BY_NAME.get(row.type, _OTHER).members(row) for row in nodes}
    for attribute in sorted(attributes, key=lambda row: row[:3]):
        put_entry(found[attribute.node_no].setdefault("attributes", {}), attribute[3:])
    in_order = defaultdict[int, list[tuple[int, int]]](list)
    for child in children:
        in_order[child.node_no].append((child.position, child.child_no))
    for parent_no, positions in in_order.items():
        found[parent_no]["childNodes"] = [found[child_no] for _, child_no in sorted(positions)]
    return found
