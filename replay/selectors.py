"""CSS selectors, as rules for masking: which elements of a recorded page they match.

Type, class, id and attribute selectors, `:not()`, and what descendant (` `) and child (`>`) make of them, in lists (Selectors
Level 4). What cannot be told from an element and its ancestors (siblings, positions, states, pseudo-elements) is refused,
and so is what matches every element. Class and id names are compared as they are, tags and names of attributes without
regard to case.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import cssselect
from cssselect.parser import Attrib, Class, CombinedSelector, Element, Hash, Negation

WHOLE_PAGE = frozenset({None, "html", "body"})  # None: `*`

_COMPARE: dict[str, Callable[[str, str], bool]] = {
    "=": str.__eq__,
    "~=": lambda has, wanted: wanted in has.split(),
    "|=": lambda has, wanted: has == wanted or has.startswith(wanted + "-"),
    "^=": lambda has, wanted: bool(wanted) and has.startswith(wanted),
    "$=": lambda has, wanted: bool(wanted) and has.endswith(wanted),
    "*=": lambda has, wanted: bool(wanted) and wanted in has,
}


class BadSelector(Exception):
    """A selector that cannot be used; the message says why."""


class Elements(Protocol):
    """How a selector looks at a page. Elements are known by the ids of their nodes, whatever these are."""

    def tag(self, element: Any) -> str:
        """In lower case."""

    def attributes(self, element: Any) -> Mapping[str, str]:
        """By their names in lower case."""

    def parent(self, element: Any) -> Any:
        """None above the topmost element."""


class Selector:
    """A list of selectors. Raises BadSelector."""

    def __init__(self, css: str) -> None:
        try:
            parsed = cssselect.parse(css)
        except cssselect.SelectorError as error:
            raise BadSelector(f"{css!r} is no CSS selector: {error}") from None
        if any(one.pseudo_element for one in parsed):
            raise BadSelector(f"{css!r}: pseudo-elements are not recorded")
        self._trees: list[Any] = [one.parsed_tree for one in parsed]
        for tree in self._trees:
            _check(css, tree)
            if isinstance(tree, Element) and tree.element in WHOLE_PAGE:
                raise BadSelector(f"{css!r} matches the whole page: use the policy strict instead")

    def matches(self, page: Elements, element: Any) -> bool:
        return any(_matches(tree, page, element) for tree in self._trees)


def _check(css: str, tree: Any) -> None:
    match tree:
        case Element():
            return
        case Attrib() if tree.operator == "exists" or tree.operator in _COMPARE:
            _check(css, tree.selector)
        case Class() | Hash():
            _check(css, tree.selector)
        case Negation():
            _check(css, tree.selector)
            _check(css, tree.subselector)
        case CombinedSelector() if tree.combinator in (" ", ">"):
            _check(css, tree.selector)
            _check(css, tree.subselector)
        case _:
            raise BadSelector(
                f"{css!r}: only types, classes, ids, attributes, :not(), descendants and children can be told here"
            )


def _matches(tree: Any, page: Elements, element: Any) -> bool:
    match tree:
        case Element():
            return tree.element is None or page.tag(element) == tree.element.lower()
        case Class():
            has = page.attributes(element).get("class", "").split()
            return tree.class_name in has and _matches(tree.selector, page, element)
        case Hash():
            return page.attributes(element).get("id") == tree.id and _matches(tree.selector, page, element)
        case Attrib():
            return _has(tree, page, element) and _matches(tree.selector, page, element)
        case Negation():
            return _matches(tree.selector, page, element) and not _matches(tree.subselector, page, element)
        case _:
            return _matches(tree.subselector, page, element) and _matches_above(tree, page, element)


def _has(tree: Attrib, page: Elements, element: Any) -> bool:
    has = page.attributes(element).get(tree.attrib.lower())
    if has is None or tree.value is None:
        return has is not None
    return _COMPARE[tree.operator](has, tree.value.value or "")


def _matches_above(tree: CombinedSelector, page: Elements, element: Any) -> bool:
    above = page.parent(element)
    while above is not None:
        if _matches(tree.selector, page, above):
            return True
        if tree.combinator == ">":
            return False
        above = page.parent(above)
    return False
