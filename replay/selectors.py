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

DEPTH_MAX = 50  # of a selector's parts within one another

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


Known = dict[tuple[int, Any], bool]  # a part of a selector, an element → whether it matches that or one above


class Selector:
    """A list of selectors. Raises BadSelector."""

    def __init__(self, css: str) -> None:
        try:
            parsed = cssselect.parse(css)
        except cssselect.SelectorError as error:
            raise BadSelector(f"{css!r} is no CSS selector: {error}") from None
        except RecursionError:
            raise BadSelector(f"{css!r} has too many parts: {DEPTH_MAX} are enough") from None
        if any(one.pseudo_element for one in parsed):
            raise BadSelector(f"{css!r}: pseudo-elements are not recorded")
        self._trees: list[Any] = [one.parsed_tree for one in parsed]
        for tree in self._trees:
            _check(css, tree)
            if isinstance(tree, Element) and tree.element in WHOLE_PAGE:
                raise BadSelector(f"{css!r} matches the whole page: use the policy strict instead")

    def matches(self, page: Elements, element: Any, known: Known | None = None) -> bool:
        """`known` remembers what is asked of the same ancestors again, for as long as no element changes."""
        known = {} if known is None else known
        return any(_matches(tree, page, element, known) for tree in self._trees)


def _check(css: str, tree: Any, depth: int = 0) -> None:
    if depth > DEPTH_MAX:
        raise BadSelector(f"{css!r} has too many parts: {DEPTH_MAX} are enough")
    match tree:
        case Element():
            return
        case Attrib() if tree.operator == "exists" or tree.operator in _COMPARE:
            _check(css, tree.selector, depth + 1)
        case Class() | Hash():
            _check(css, tree.selector, depth + 1)
        case Negation():
            _check(css, tree.selector, depth + 1)
            _check(css, tree.subselector, depth + 1)
        case CombinedSelector() if tree.combinator in (" ", ">"):
            _check(css, tree.selector, depth + 1)
            _check(css, tree.subselector, depth + 1)
        case _:
            raise BadSelector(
                f"{css!r}: only types, classes, ids, attributes, :not(), descendants and children can be told here"
            )


def _matches(tree: Any, page: Elements, element: Any, known: Known) -> bool:
    match tree:
        case Element():
            return tree.element is None or page.tag(element) == tree.element.lower()
        case Class():
            has = page.attributes(element).get("class", "").split()
            return tree.class_name in has and _matches(tree.selector, page, element, known)
        case Hash():
            return page.attributes(element).get("id") == tree.id and _matches(
                tree.selector, page, element, known
            )
        case Attrib():
            return _has(tree, page, element) and _matches(tree.selector, page, element, known)
        case Negation():
            return _matches(tree.selector, page, element, known) and not _matches(
                tree.subselector, page, element, known
            )
        case _:
            return _matches(tree.subselector, page, element, known) and _matches_above(
                tree, page, page.parent(element), known
            )


def _has(tree: Attrib, page: Elements, element: Any) -> bool:
    has = page.attributes(element).get(tree.attrib.lower())
    if has is None or tree.value is None:
        return has is not None
    return _COMPARE[tree.operator](has, tree.value.value or "")


def _matches_above(tree: CombinedSelector, page: Elements, above: Any, known: Known) -> bool:
    """Whether the left side of a combinator matches an element or, if it is a descendant's, one above that."""
    way = []
    answer = False
    while above is not None and not answer:
        key = id(tree), above
        if key in known:  # or in a circle, in which nothing is new
            answer = known[key]
            break
        known[key] = False
        way.append(key)
        answer = _matches(tree.selector, page, above, known)
        above = None if tree.combinator == ">" else page.parent(above)
    known.update(dict.fromkeys(way, answer))
    return answer
