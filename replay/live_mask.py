"""Masking what the custom events of live sessions (`replay.live_payload`) hold: values of inputs, and text of the page.

They name no nodes, and so say themselves what they are about: a selector, a name, a type. An input is a secret when one of
these says so, or when a card number was typed into it, and then at any time of its page: by the same selector under the same
URL. With the policy `strict`, and where such an event carries a mark that hides an element (`replay.elements`), all text and
all values are masked, but for what only describes the element.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, auto
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from replay import splice, surrogates
from replay.decoded import first_reading
from replay.elements import HIDING_MARKS
from replay.fill import fill_value
from replay.live_payload import Tag
from replay.mask import Mask
from replay.page_mask import Events
from replay.rrweb import EventType

_CUSTOM = int(EventType.CUSTOM)
_TOLD = frozenset(Tag) - {Tag.CONSOLE, Tag.ERROR, Tag.NETWORK_REQUEST}  # these are logs
_SHOWS_TEXT = frozenset((Tag.MOUSE_CLICK, Tag.INPUT, Tag.DOM_MUTATION))  # whatever its members are called

# Names of members, in lower case and without what joins their words.
_WHICH = ("selector", "cssselector", "xpath", "css", "path", "id", "elementid", "name")
_DESCRIBES = frozenset(
    {
        *_WHICH,
        *(
            "target",
            "element",
            "field",
            "fieldname",
            "type",
            "inputtype",
            "eventtype",
            "kind",
            "action",
            "role",
        ),
        *(
            "tag",
            "tagname",
            "nodename",
            "class",
            "classname",
            "classlist",
            "autocomplete",
            "testid",
            "datatestid",
        ),
        *("attributename", "timestamp", "time", "pointertype", "button", "state", "method"),
    }
)
_URLS = frozenset({"url", "href", "src", "from", "to"})
_LABELS = frozenset({"label", "arialabel", "ariadescription", "placeholder", "title", "alt"})
_TEXTS = _LABELS | {"text", "innertext", "textcontent", "innerhtml", "outerhtml", "html", "value", "content"}
_VALUES = frozenset({"value", "newvalue", "oldvalue", "previousvalue", "inputvalue"})
_NUMBERS = _VALUES | {"text", "data", "content", "key"}

_HIDES = re.compile(b"|".join(HIDING_MARKS))
_PASSWORD = re.compile(rb"(?i)pass[ _-]?(?:wor[dt]|wd|phrase|code)|pwd|one-time-code|(?<![a-z])otp(?![a-z])")
_CARD = re.compile(rb"(?i)cc-(?:number|csc)|(?<![a-z])cv[vc]2?(?![a-z])")
_MASKED_CARD = re.compile(rb'"[* ]{13,}"')
_HOLDS_VALUE = re.compile(rb"(?i)<|value\s*[~^$*|]?=")  # markup, or a selector by a value
_PASSWORD_MARKUP = re.compile(rb"(?i)<input\b(?=[^>]*passw)(?=[^>]*\bvalue\s*=)")
_TOKEN = re.compile(
    rb'"(?P<key>[^"\\]*+(?:\\.[^"\\]*+)*+)"\s*+:|(?P<string>"[^"\\]*+(?:\\.[^"\\]*+)*+")'
    rb"|(?P<number>-?[0-9][0-9.eE+-]*+)|(?P<open>[\[{])|(?P<close>[\]}])",
    re.DOTALL,
)
_JOINS = re.compile(r"[^a-z0-9]+")
_PAGE = re.compile(rb"[^?#]*")


class Extent(Enum):
    """How much of a payload is masked."""

    VALUES = auto()  # what is called a value
    TEXTS = auto()  # what is called a text, a value or a label
    TYPED = auto()  # all but URLs, and what describes the element
    ALL = auto()  # all but URLs, and what describes the element without being read on it


Identity = tuple[bytes, str, bytes]  # the page, and a member of `_WHICH` with its value


class _Data(msgspec.Struct):
    tag: Any = None
    url: Raw = Raw(b"null")


class _Event(msgspec.Struct):
    data: _Data


_event = msgspec.json.Decoder(_Event)


class Leaf(NamedTuple):
    """A string or a number in a payload: the name of the member that it is, or is in a list of; its JSON; its place."""

    name: str
    json: bytes
    at: int


def mask_live(events: Events, order: Sequence[int], mask: Mask) -> None:
    """Mask in place, after what is a secret by itself; `order` is the playing order."""
    if not mask.masker.builtin or events.kinds.find(_CUSTOM) < 0:
        return
    inputs: list[tuple[int, Identity]] = []
    secrets: dict[Identity, str] = {}
    for place in order:
        if events.kinds[place] != _CUSTOM:
            continue
        buffer, start, end = events.editable(place)
        text = bytes(memoryview(buffer)[start:end])
        tag, url = _head(text)
        if tag not in _TOLD:
            continue
        is_hidden = _HIDES.search(text) is not None
        if is_hidden or mask.masker.strict:
            rule = "marked_element" if is_hidden else "input" if tag == Tag.INPUT else "text"
            _mask_event(events, place, rule, Extent.ALL if tag in _SHOWS_TEXT else Extent.TEXTS, mask)
        elif tag == Tag.INPUT:
            leaves = list(_leaves(text))
            identity = _identity(place, leaves, url)
            inputs.append((place, identity))
            if found := _secret_rule(leaves):
                secrets.setdefault(identity, found)
        elif found := _secret_rule(_leaves(text)):
            _mask_event(events, place, found, Extent.VALUES, mask)
    for place, identity in inputs:
        if found := secrets.get(identity):
            _mask_event(events, place, found, Extent.TYPED, mask)


def _mask_event(events: Events, place: int, rule: str, extent: Extent, mask: Mask) -> None:
    buffer, start, end = events.editable(place)
    changed = 0
    for leaf in _leaves(bytes(memoryview(buffer)[start:end])):
        if _is_masked(leaf, extent) and (count := fill_value(buffer, start + leaf.at)[1]):
            changed += count
            mask.found(rule, start + leaf.at)
    if changed:
        events.edited(place, buffer)


def _is_masked(leaf: Leaf, extent: Extent) -> bool:
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


def _secret_rule(leaves: Iterable[Leaf]) -> str | None:
    """The rule by which the value of this input is masked, or None."""
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


def _identity(place: int, leaves: Sequence[Leaf], url: bytes) -> Identity:
    """What tells the input from others; one that does not say which it is, is one by itself."""
    names = {leaf.name: leaf.json for leaf in reversed(leaves)}
    which = next((name for name in _WHICH if name in names), None)
    if which is None:
        return b"", str(place), b""
    page = _PAGE.match(url.strip(b'"'))
    return page[0] if page else b"", which, names[which]


def _head(text: bytes) -> tuple[str, bytes]:
    """The event's tag and URL, as JSON; neither where it is none that has a tag."""
    try:
        data = surrogates.decode(_event, text).data
    except (msgspec.DecodeError, RecursionError):
        return "", b""
    return (data.tag, bytes(data.url)) if isinstance(data.tag, str) else ("", b"")


def _leaves(text: bytes) -> Iterator[Leaf]:
    """The strings and numbers in the payload of a custom event, which is JSON of any depth."""
    payload = splice.members(text, splice.members(text)["data"].start).get("payload")
    if payload is None:
        return
    name, outside = "", list[str]()
    for token in _TOKEN.finditer(text, payload.start, payload.end):
        match token.lastgroup:
            case "key":
                name = _JOINS.sub("", first_reading(token["key"]).decode("utf-8", "replace").lower())
            case "open":
                outside.append(name)
            case "close":
                name = outside.pop()
            case _:
                yield Leaf(name, token[0], token.start())
