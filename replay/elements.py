"""What an element says of itself: that it holds a secret, or that what it holds is not to be seen.

Marks are the attributes `data-mask` and `data-*-mask`, and the classes by which recorders are told: rrweb's `rr-mask` and
`rr-block`, PostHog's `ph-no-capture`, Sentry's `sentry-mask` and `sentry-block`, `seestack-mask`, FullStory's `fs-mask`.
A password input says so by its `type`, by `data-rr-is-password` (rrweb remembers one whose type was changed to show it), or
by what a browser is to fill in (HTML, autofill detail tokens); inputs of card numbers only by the latter.
"""

import re
from array import array
from collections.abc import Iterator, Mapping
from enum import IntEnum

from msgspec import Raw

from replay.decoded import first_reading


class Hidden(IntEnum):
    """How much of an element and of all that it holds is masked."""

    NOT = 0
    TEXT = 1  # text and values
    ALL = 2  # what it shows of other resources, too


# What to look for in a raw JSON text: nothing else makes it worth a look at the elements.
SECRET_MARKS = (
    rb'(?i:password\\*"|-password(?: |\\+[nrt]))',
    rb"data-rr-is-password",
    rb"(?i:cc-(?:number|csc)|one-time-code)",
)
HIDING_MARKS = (
    rb"(?:rr|sentry|seestack|fs)-mask|(?:rr|sentry)-block|ph-no-capture",
    rb"(?i:data-(?:[a-z0-9_-]+-)?mask\\*\")",
)

_HIDING = re.compile(b"|".join(HIDING_MARKS))


class Marks:
    """Where in a text marks stand, ascending: offsets of those of secrets, and of those that hide elements.

    What may be either, since it is escaped, counts as both.
    """

    def __init__(self) -> None:
        self.secrets = array("Q")
        self.hiding = array("Q")

    def add(self, at: int, mark: bytes) -> None:
        is_escaped = mark.startswith(b"\\")
        is_hiding = _HIDING.search(mark) is not None
        if is_hiding or is_escaped:
            self.hiding.append(at)
        if not is_hiding:
            self.secrets.append(at)


_MASK_CLASSES = frozenset({b"rr-mask", b"sentry-mask", b"seestack-mask", b"fs-mask"})
_BLOCK_CLASSES = frozenset({b"rr-block", b"sentry-block", b"ph-no-capture"})
_MASK_ATTRIBUTE = re.compile(r"data-(?:[a-z0-9_-]+-)?mask\Z", re.IGNORECASE)
_OFF = b'"false"'
_AUTOFILL = {
    b"current-password": "password_input",
    b"new-password": "password_input",
    b"one-time-code": "password_input",
    b"cc-number": "card_number",
    b"cc-csc": "card_number",
}
_MAY_HIDE = re.compile(HIDING_MARKS[0] + rb"|\\u")

TEXT_ATTRIBUTES = frozenset(
    {
        *("value", "placeholder", "title", "alt", "label", "srcdoc"),
        *("aria-label", "aria-description", "aria-valuetext", "aria-placeholder"),
    }
)
RESOURCE_ATTRIBUTES = frozenset({"src", "srcset", "href", "xlink:href", "poster", "data", "rr_dataURL"})

INPUTS = frozenset({"input", "textarea", "select", "option"})
_LABELS = frozenset({b"button", b"submit", b"reset", b"image", b"checkbox", b"radio"})

Attributes = Mapping[str, Raw]
Identity = tuple[str, bytes, bytes]  # tag, name, id


def hides(attributes: Attributes) -> Hidden:
    """What the element's own attributes ask for."""
    found = Hidden.NOT
    classes = attributes.get("class")
    if classes is not None and _MAY_HIDE.search(classes):
        words = set(_content(attributes, "class").split())
        if not words.isdisjoint(_BLOCK_CLASSES):
            return Hidden.ALL
        if not words.isdisjoint(_MASK_CLASSES):
            found = Hidden.TEXT
    for name in attributes:
        if "mask" in name and _MASK_ATTRIBUTE.match(name) and bytes(attributes[name]) != _OFF:
            found = Hidden.TEXT
    return found


def secret_rule(attributes: Attributes) -> str | None:
    """The rule by which the value of an input with these attributes is masked, or None."""
    if _word(attributes, "type") == b"password" or "data-rr-is-password" in attributes:
        return "password_input"
    tokens = _word(attributes, "autocomplete").split()
    return next((_AUTOFILL[token] for token in tokens if token in _AUTOFILL), None)


def identity(tag: str, attributes: Attributes) -> Identity:
    """What tells whether an input of one snapshot is the input with the same node id of another."""
    return tag, _as_json(attributes, "name"), _as_json(attributes, "id")


def names_of(identity: Identity) -> Iterator[bytes]:
    """The names by which an input can be found in a JSON text; an empty one when it has none."""
    yield from [name for name in identity[1:] if name] or [b""]


def is_typed_into(tag: str | None, attributes: Attributes) -> bool:
    """Whether the value of this element is what somebody typed or chose, rather than the label of a button."""
    return tag in INPUTS and _word(attributes, "type") not in _LABELS


def _word(attributes: Attributes, name: str) -> bytes:
    return _content(attributes, name).lower()


def _content(attributes: Attributes, name: str) -> bytes:
    return first_reading(_as_json(attributes, name))


def _as_json(attributes: Attributes, name: str) -> bytes:
    """What stands between the quotes of a string."""
    value = attributes.get(name)
    return b"" if value is None else bytes(value).strip(b'"')
