"""Mutations of the page: source 0."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

from replay.relations.columns import Double, Flag, Integer, Key, Required, Rest, Text
from replay.relations.entries import entry, put_entry
from replay.relations.gathered import Gathered
from replay.relations.increment import Rows
from replay.relations.nodes import (
    SerializedNode,
    SerializedNodeAttribute,
    SerializedNodeChild,
    node_rows,
    nodes_of,
)
from replay.relations.shape import Part, Shape, make, overlay
from replay.relations.values import dump
from replay.surrogates import storable


class MutationData(NamedTuple):
    """That an increment is a mutation; what changed is in the tables named after it."""

    event_no: Key
    is_attach_iframe: Annotated[Flag, "it brings the document of a frame"]


class TextMutation(NamedTuple):
    """A text node's new text."""

    event_no: Key
    position: Key
    id: Integer
    value: Annotated[Text, Required()]
    rest: Rest


class AttributeMutation(NamedTuple):
    """An element whose attributes changed."""

    event_no: Key
    position: Key
    id: Integer
    rest: Rest


class AttributeMutationEntry(NamedTuple):
    """A new value of an attribute: null where it was removed, a style_om_value where that has one."""

    event_no: Key
    mutation: Annotated[Key, "the attribute_mutation's position"]
    position: Key
    name: Text
    value: Text
    number: Double
    flag: Flag
    rest: Rest


class StyleOmValue(NamedTuple):
    """That an attribute's new value is a change of some of its style's properties."""

    event_no: Key
    mutation: Key
    entry: Annotated[Key, "the attribute_mutation_entry's position"]


class StyleOmValueEntry(NamedTuple):
    """A style's new property, with or without priority; false: removed."""

    event_no: Key
    mutation: Key
    entry: Key
    position: Key
    name: Annotated[Text, "of the property"]
    value: Text
    priority: Text
    flag: Flag
    rest: Rest


class RemovedNodeMutation(NamedTuple):
    """A node that went."""

    event_no: Key
    position: Key
    parent_id: Integer
    id: Integer
    is_shadow: Flag
    rest: Rest


class AddedNodeMutation(NamedTuple):
    """A node that came, or is elsewhere now."""

    event_no: Key
    position: Key
    node_no: Annotated[Integer, "the serialized_node"]
    parent_id: Integer
    previous_id: Annotated[Integer, "legacy"]
    next_id: Annotated[Integer, Required()]
    rest: Rest


_LISTS = tuple(Part(name, list, required=True) for name in ("texts", "attributes", "removes", "adds"))
_DATA = Shape(MutationData, _LISTS, ignored="source")
_TEXT = Shape(TextMutation, given=2)
_ATTRIBUTE = Shape(AttributeMutation, [Part("attributes", dict, required=True)], given=2)
_REMOVED = Shape(RemovedNodeMutation, given=2)
_ADDED = Shape(AddedNodeMutation, [Part("node", dict, required=True)], given=3)


class Mutations:
    """Source 0."""

    def rows(self, event_no: int, data: dict[str, Any]) -> Rows:
        values = _DATA.read((event_no,), data)
        texts, attributes, removes, adds = values[_DATA.width : _DATA.width + len(_LISTS)]
        yield make(MutationData, values[: _DATA.width])
        for position, text in enumerate(texts or ()):
            yield _TEXT.make((event_no, position), text)
        for position, changed in enumerate(attributes or ()):
            yield from _attribute_rows(event_no, position, changed)
        for position, removed in enumerate(removes or ()):
            yield _REMOVED.make((event_no, position), removed)
        node_no = 0
        for position, added in enumerate(adds or ()):
            node = added.get("node")
            has_node = type(node) is dict
            yield _ADDED.make((event_no, position, node_no if has_node else None), added)
            if has_node:
                node_no = yield from node_rows(event_no, node_no, node)
        rest: str | None = values[-1]
        return rest

    def data_of(self, found: Gathered) -> dict[str, Any]:
        data = _DATA.members(found.one(MutationData))
        data["texts"] = [_TEXT.members(text) for text in found.sorted(TextMutation)]
        data["removes"] = [_REMOVED.members(removed) for removed in found.sorted(RemovedNodeMutation)]
        data["attributes"] = _attributes(found)
        nodes = nodes_of(found[SerializedNode], found[SerializedNodeChild], found[SerializedNodeAttribute])
        for added in found.sorted(AddedNodeMutation):
            item = _ADDED.members(added)
            if added.node_no is not None:
                item["node"] = nodes[added.node_no]
            data["adds"].append(item)
        return data


def _attribute_rows(event_no: int, mutation: int, changed: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    values = _ATTRIBUTE.read((event_no, mutation), changed)
    yield make(AttributeMutation, values[: _ATTRIBUTE.width])
    attributes: dict[str, Any] = values[_ATTRIBUTE.width] or {}
    for position, (name, value) in enumerate(attributes.items()):
        key = (event_no, mutation, position)
        is_style = type(value) is dict
        yield make(AttributeMutationEntry, (*key, *entry(name, None if is_style else value)))
        if is_style:
            yield make(StyleOmValue, key)
            for at, (name, inner) in enumerate(value.items()):
                yield make(StyleOmValueEntry, (*key, at, *_property(name, inner)))


def _property(name: str, value: Any) -> tuple[str | None, str | None, str | None, bool | None, str | None]:
    priority = None
    if type(value) is list and [type(each) for each in value] == [str, str]:
        value, priority = value
    elif type(value) in (int, float):
        return storable(name), None, None, None, dump({"name": name, "value": value})
    column, text, _, flag, rest = entry(name, value)
    return column, text, priority, flag, rest


def _attributes(found: Gathered) -> list[dict[str, Any]]:
    styles: dict[tuple[int, int], dict[str, Any]] = {
        (row.mutation, row.entry): {} for row in found[StyleOmValue]
    }
    for row in found.sorted(StyleOmValueEntry):
        item: dict[str, Any] = {"name": row.name, "value": row.value}
        if row.priority is not None:
            item["value"] = [row.value, row.priority]
        elif row.flag is not None:
            item["value"] = row.flag
        overlay(item, row.rest)
        styles[row.mutation, row.entry][item["name"]] = item["value"]
    entries = defaultdict[int, dict[str, Any]](dict)
    for entry_row in found.sorted(AttributeMutationEntry):
        one: dict[str, Any] = {}
        put_entry(one, entry_row[3:])
        style = styles.get((entry_row.mutation, entry_row.position))
        entries[entry_row.mutation].update(one if style is None else dict.fromkeys(one, style))
    changed = []
    for mutation in found.sorted(AttributeMutation):
        item = _ATTRIBUTE.members(mutation)
        if mutation.position in entries:
            item["attributes"] = entries[mutation.position]
        changed.append(item)
    return changed
