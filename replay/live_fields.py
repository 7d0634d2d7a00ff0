"""What of a live session's own event is masked, by the names of its members and by what they say.

Names are compared in lower case, without what joins their words: `inputType`, `input_type`, `input-type`.
"""

import re
from collections.abc import Iterable
from enum import Enum, auto
from typing import NamedTuple

import re2

from replay.decoded import first_reading
from replay.elements import HIDING_MARKS
from replay.live_payload import Tag

TOLD = frozenset(Tag) - {Tag.CONSOLE, Tag.ERROR, Tag.NETWORK_REQUEST}  # these are logs
SHOWS_TEXT = frozenset((Tag.MOUSE_CLICK, Tag.INPUT, Tag.DOM_MUTATION))  # whatever its members are called

WHICH = ("selector", "cssselector", "xpath", "css", "path", "id", "elementid", "name")
_DESCRIBES = frozenset(
    {
        *WHICH,
        *("target", "element", "tag", "tagname", "nodename", "class", "classname", "classlist", "role"),
        *("field", "fieldname", "type", "inputtype", "autocomplete", "testid", "datatestid", "attributename"),
        *("eventtype", "kind", "action", "state", "method", "pointertype", "button", "timestamp", "time"),
    }
)
_URLS = frozenset({"url", "href", "src", "from", "to"})
_LABELS = frozenset({"label", "arialabel", "ariadescription", "placeholder", "title", "alt"})
_TEXTS = frozenset({"text", "innertext", "textcontent", "innerhtml", "outerhtml", "html", "value", "content"})
_VALUES = frozenset({"value", "newvalue", "oldvalue", "previousvalue", "inputvalue"})
_NUMBERS = _VALUES | {"text", "data", "content", "key"}

_HIDES = re.compile(b"|".join(HIDING_MARKS))
_PASSWORD = re.compile(rb"(?i)pass[ _-]?(?:wor[dt]|wd|phrase|code)|pwd|one-time-code|(?<![a-z])otp(?![a-z])")
_PASSWORD_MARKUP = re.compile(rb"(?i)<input\b(?=[^>]*passw)(?=[^>]*\bvalue\s*=)")
_CARD = re.compile(rb"(?i)cc-(?:number|csc)|(?<![a-z])cv[vc]2?(?![a-z])")
_MASKED_CARD = re.compile(rb'"[* ]{13,}"')
_HOLDS_VALUE = re.compile(rb"(?i)<|value\s*[~^$*|]?=")  # markup, or a selector by a value
# All that these find, and more: RE2 has no look-behind, and takes a tenth of the time.
_SUSPECTS = (
    *HIDING_MARKS,
    rb"(?i:pass[ _-]?(?:wor[dt]|wd|phrase|code)|passw|pwd|one-time|otp|cc-(?:number|csc)|cv[vc])",
    rb'"[* ]{13,}"',
    rb"\\u",
)
_SUSPECT = re2.compile(b"|".join(_SUSPECTS))


class Leaf(NamedTuple):
    """A string or a number in a payload: the name of the member that it is, or is in a list of; its JSON; its place."""

    name: str
    json: bytes
    at: int


class Extent(Enum):
    """How much of a payload is masked."""

    VALUES = auto()  # what is called a value
    TEXTS = auto()  # what is called a text, a value or a label
    TYPED = auto()  # all but URLs, and what describes the element
    ALL = auto()  # all but URLs, and what describes the element without being read on it


def is_suspect(event: bytes) -> bool:
    """Whether the event may be one that `hides` or has a `secret_rule`."""
    return _SUSPECT.search(event) is not None


def hides(event: bytes) -> bool:
    """Whether the event carries a mark that hides an element (`replay.elements`)."""
    return _HIDES.search(event) is not None


def is_masked(leaf: Leaf, extent: Extent) -> bool:
    """Whether a part of a payload is masked, to that extent."""
    name = leaf.name
    if not leaf.json.startswith(b'"'):
        return name in _NUMBERS
    if name in _URLS:
        return False
    if name in _LABELS:
        return extent in (Extent.TEXTS, Extent.ALL)
    if name in _DESCRIBES:
        return _HOLDS_VALUE.search(leaf.json) is not None
    if extent in (Extent.TYPED, Extent.ALL):
        return True
    if name in (_TEXTS if extent is Extent.TEXTS else _VALUES):
        return True
    return _PASSWORD_MARKUP.search(first_reading(leaf.json)) is not None


def secret_rule(leaves: Iterable[Leaf]) -> str | None:
    """The rule by which the value of the input that this is about is masked, or None."""
    for leaf in leaves:
        said = first_reading(leaf.json)
        if _PASSWORD_MARKUP.search(said):
            return "password_input"
        if leaf.name in _DESCRIBES or leaf.name in _LABELS or not leaf.name:
            if _PASSWORD.search(said):
                return "password_input"
            if _CARD.search(said):
                return "card_number"
        elif _MASKED_CARD.fullmatch(leaf.json):
            return "card_number"
    return None
