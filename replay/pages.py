"""Pages of a recording, as far as masking must know them: which nodes hold secrets, and which are not to be seen.

A page is what a full snapshot brings and increments change, until the next full snapshot of the same window. Node ids mean
something within a page only. What is known of a node counts for the whole page, whenever it was learned: an input that
becomes a password input was one when it was typed into, and stays one when it is shown as text; what was ever inside a
marked element is masked wherever it goes. An input of another page of the same window is the same one when id, tag and
names are the same: a recorder that takes another snapshot of a page keeps its ids.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from replay import surrogates
from replay.elements import INPUTS, Attributes, Hidden, Identity, hides, identity, secret_rule
from replay.nodes import Data, Node, NodeId
from replay.selectors import Known, Selector

_values = msgspec.json.Decoder(str | float | bool | dict[str, Any] | None)


class Mark(NamedTuple):
    """How much of a node is masked, and the rule that says so."""

    hidden: Hidden
    rule: str


NO_MARK = Mark(Hidden.NOT, "")
_EVERYTHING = Mark(Hidden.ALL, "marked_element")
_DEPTH_MAX = 1024  # of nodes; a parser stops at 512. A deeper page is hidden as a whole, if anything on it is


class Elements:
    """A page's elements as selectors look at them (`replay.selectors.Page`)."""

    def __init__(self) -> None:
        self.tags: dict[NodeId, str] = {}
        self._attributes: dict[NodeId, dict[str, str]] = {}
        self._parents: dict[NodeId, NodeId] = {}

    def learn(self, element: NodeId, tag: str | None, parent: NodeId, attributes: Attributes) -> None:
        self.tags[element] = tag or self.tags.get(element, "")
        self._parents[element] = parent
        has = self._attributes.setdefault(element, {})
        for name, value in attributes.items():
            text = _text(value)
            if text is None:
                has.pop(name.lower(), None)
            else:
                has[name.lower()] = text

    def tag(self, element: NodeId) -> str:
        return self.tags[element]

    def attributes(self, element: NodeId) -> Mapping[str, str]:
        return self._attributes[element]

    def parent(self, element: NodeId) -> NodeId:
        """None above the topmost element; text nodes and documents are none."""
        parent = self._parents.get(element)
        return parent if parent in self.tags else None


class Page:
    """What is known of a page. `places` are its events', in playing order."""

    def __init__(self, selectors: Sequence[Selector] = (), *, builtin: bool = True) -> None:
        self.places: list[int] = []
        self.is_tree = False  # nodes are followed, not only inputs
        self.is_opaque = False  # an event of it could not be read: everything on it may be a secret
        self.secrets: dict[NodeId, str] = {}  # inputs, and the rule by which their values are masked
        self.inputs: dict[NodeId, Identity] = {}
        self.elsewhere: Mapping[NodeId, str] = {}  # secrets that no other page of the window has a name for
        self.styles: set[NodeId] = set()  # text nodes that hold style sheets
        self._selectors = selectors
        self._builtin = builtin  # elements are asked what they say of themselves
        self._elements = Elements()  # only for selectors
        self._parents: dict[NodeId, NodeId] = {}
        self._marks: dict[NodeId, Mark] = {}
        self._known: dict[NodeId, Mark | None] = {}
        self._above: Known = {}
        self._is_too_deep = False

    @property
    def hides_elements(self) -> bool:
        """Whether any element of the page is masked with all that it holds."""
        return bool(self._marks)

    def secret(self, node: NodeId) -> str | None:
        """The rule by which the value of an input is masked, or None."""
        return self.secrets.get(node) or (None if node in self.inputs else self.elsewhere.get(node))

    def may_be_input(self, element: NodeId) -> bool:
        """Whether an element is one to type into, as far as is known."""
        return element in self.inputs or element not in self._parents

    def learn(self, data: Data) -> None:
        """Take in what an event tells."""
        if data.node is not None:
            self._learn_nodes(data.node, None)
        for added in data.adds or ():
            if added.node is not None:
                if mark := self.mark(added.node.id):
                    self._marks[added.node.id] = mark  # it was inside until now
                self._known.clear()
                self._learn_nodes(added.node, added.parent)
        for changed in data.attributes or ():
            if changed.attributes:
                known = self.inputs.get(changed.id)
                self._learn_element(changed.id, known[0] if known else None, changed.attributes)
        self._known.clear()

    def match_selectors(self) -> None:
        """Once all is learned: what its ancestors make of an element may have changed after it came."""
        self._above.clear()
        for element in self._elements.tags:
            self._match(element)

    def mark(self, node: NodeId) -> Mark | None:
        """How much of a node is masked for what it or an element around it says, and by which rule."""
        if not self._marks:
            return None
        if self._is_too_deep:
            return _EVERYTHING
        way: list[NodeId] = []
        at = node
        while at is not None and at not in self._known:
            way.append(at)
            self._known[at] = None  # until more is known: parents may go in circles
            at = self._parents.get(at)
            if len(way) > _DEPTH_MAX:
                self._is_too_deep = True
                return _EVERYTHING
        for _ in range(2 if at in way else 1):  # around a circle twice: all of it is inside of all of it
            above = self._known.get(at)
            for inner in reversed(way):
                own = self._marks.get(inner)
                self._known[inner] = above = own if above is None or (own and own > above) else above
        return self._known.get(node)

    def _learn_inputs(self, root: Node) -> None:
        waiting = [root]
        while waiting:
            node = waiting.pop()
            if (tag := node.tag) is not None and (tag := tag.lower()) in INPUTS:
                self._learn_element(node.id, tag, node.attributes or {})
            if node.children:
                waiting += node.children

    def _learn_nodes(self, root: Node, parent: NodeId) -> None:
        if not self.is_tree:
            return self._learn_inputs(root)
        waiting: list[tuple[Node, NodeId]] = [(root, parent)]
        while waiting:
            node, parent = waiting.pop()
            node_id = node.id
            self._parents[node_id] = parent
            if (tag := node.tag) is not None:
                tag = tag.lower()
                self._learn_element(node_id, tag, node.attributes or {})
                if tag == "style":
                    self.styles.update(child.id for child in node.children or ())
            elif node.is_style:
                self.styles.add(node_id)
            if node.children:
                waiting += [(child, node_id) for child in node.children]
        return None

    def _learn_element(self, element: NodeId, tag: str | None, attributes: Attributes) -> None:
        """What attributes say, all of an element's or some that changed. An element not seen before may be an input."""
        if tag in INPUTS and element not in self.inputs:
            self.inputs[element] = identity(tag, attributes)
        if self._builtin and tag in (None, "input") and (rule := secret_rule(attributes)):
            self.secrets[element] = rule
        hidden = hides(attributes) if self._builtin and self.is_tree else Hidden.NOT
        if hidden > self._marks.get(element, NO_MARK).hidden:
            self._marks[element] = Mark(hidden, "marked_element")
        if self._selectors:
            if element in self._elements.tags:
                self._above.clear()
            self._elements.learn(element, tag, self._parents.get(element), attributes)
            self._match(element)

    def _match(self, element: NodeId) -> None:
        if element not in self._marks and any(
            one.matches(self._elements, element, self._above) for one in self._selectors
        ):
            self._marks[element] = Mark(Hidden.TEXT, "selector")


def _text(value: Raw) -> str | None:
    """An attribute's value as a selector compares it; None for one that was removed."""
    try:
        plain = surrogates.decode(_values, value)
    except msgspec.DecodeError:
        return None
    return plain if isinstance(plain, str) else None if plain in (None, False) else ""
