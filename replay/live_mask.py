"""Masking what the custom events of live sessions (`replay.live_payload`) hold: values of inputs, and text of the page.

They name no nodes, and so say themselves what they are about: a selector, a name, a type. An input is a secret when one of
these says so, or when a card number was typed into it, and then at any time of its page: by the same selector under the same
URL. With the policy `strict`, and where such an event carries a mark that hides an element (`replay.elements`), all text and
all values are masked, but for what only describes the element.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from replay import surrogates
from replay.addresses import address
from replay.decoded import first_reading
from replay.fill import fill_value
from replay.live_fields import (
    SHOWS_TEXT,
    TOLD,
    WHICH,
    Extent,
    Leaf,
    hides,
    is_masked,
    is_suspect,
    secret_rule,
)
from replay.live_payload import Tag
from replay.mask import Mask
from replay.page_mask import Events
from replay.rrweb import EventType

_CUSTOM = int(EventType.CUSTOM)
_TOKEN = re.compile(
    rb'"(?P<key>[^"\\]*+(?:\\.[^"\\]*+)*+)"\s*+:|(?P<string>"[^"\\]*+(?:\\.[^"\\]*+)*+")'
    rb"|(?P<number>-?[0-9][0-9.eE+-]*+)|(?P<open>[\[{])|(?P<close>[\]}])",
    re.DOTALL,
)
_JOINS = re.compile(r"[^a-z0-9]+")
_PAGE = re.compile(rb"[^?#]*")
_NULL = Raw(b"null")

Identity = tuple[bytes, str, bytes]  # the page, and a member of `WHICH` with its value


class _Data(msgspec.Struct):
    tag: Any = None
    payload: Raw = _NULL
    url: Raw = _NULL


class _Event(msgspec.Struct):
    data: _Data


_event = msgspec.json.Decoder(_Event)


class Said(NamedTuple):
    """A custom event: its JSON, its tag, its URL and its payload, both as JSON; the payload is a slice of `decoded`."""

    text: bytes
    tag: str
    url: Raw
    payload: Raw
    decoded: bytes | bytearray

    def leaves(self) -> Iterator[Leaf]:
        """The strings and numbers in the payload, which is JSON of any depth."""
        if self.payload == _NULL:
            return
        start = address(self.payload) - address(self.decoded)
        name, outside = "", list[str]()
        for token in _TOKEN.finditer(self.text, start, start + len(memoryview(self.payload))):
            match token.lastgroup:
                case "key":
                    key = first_reading(token["key"]).decode("utf-8", "replace")
                    name = _JOINS.sub("", key.lower())
                case "open":
                    outside.append(name)
                case "close":
                    name = outside.pop()
                case _:
                    yield Leaf(name, token[0], token.start())


def mask_live(events: Events, order: Sequence[int], mask: Mask) -> None:
    """Mask in place, after what is a secret by itself; `order` is the playing order."""
    if not mask.masker.builtin or events.kinds.find(_CUSTOM) < 0:
        return
    inputs: list[int] = []
    secrets: dict[Identity, str] = {}
    for place in order:
        if events.kinds[place] != _CUSTOM:
            continue
        event = _read(events, place)
        if event is None or event.tag not in TOLD:
            continue
        if event.tag == Tag.INPUT:
            inputs.append(place)
        suspect = is_suspect(event.text)
        is_hidden = suspect and hides(event.text)
        if is_hidden or mask.masker.strict:
            rule = "marked_element" if is_hidden else "input" if event.tag == Tag.INPUT else "text"
            extent = Extent.ALL if event.tag in SHOWS_TEXT else Extent.TEXTS
            _mask_event(events, place, event, rule, extent, mask)
        elif suspect and (found := secret_rule(event.leaves())):
            if event.tag == Tag.INPUT:
                secrets.setdefault(_identity(place, event), found)
            else:
                _mask_event(events, place, event, found, Extent.VALUES, mask)
    for place in inputs if secrets else ():
        event = _read(events, place)
        if event and (found := secrets.get(_identity(place, event))):
            _mask_event(events, place, event, found, Extent.TYPED, mask)


def _mask_event(events: Events, place: int, event: Said, rule: str, extent: Extent, mask: Mask) -> None:
    buffer, start, _ = events.editable(place)
    changed = 0
    for leaf in event.leaves():
        if is_masked(leaf, extent) and (count := fill_value(buffer, start + leaf.at)[1]):
            changed += count
            mask.found(rule, start + leaf.at)
    if changed:
        events.edited(place, buffer)


def _identity(place: int, event: Said) -> Identity:
    """What tells the input from others; one that does not say which it is, is one by itself."""
    names: dict[str, bytes] = {}
    for leaf in event.leaves():
        names.setdefault(leaf.name, leaf.json)
    which = next((name for name in WHICH if name in names), None)
    if which is None:
        return b"", str(place), b""
    page = _PAGE.match(bytes(event.url).strip(b'"'))
    return page[0] if page else b"", which, names[which]


def _read(events: Events, place: int) -> Said | None:
    """The event; None where it is none that has a tag."""
    buffer, start, end = events.editable(place)
    text = bytes(memoryview(buffer)[start:end])
    decoded: bytes | bytearray = text
    try:
        try:
            data = _event.decode(text).data
        except msgspec.ValidationError:
            return None
        except msgspec.DecodeError:
            decoded = bytearray(text)
            with surrogates.mended(decoded):
                data = _event.decode(decoded).data
    except (msgspec.DecodeError, RecursionError):
        return None
    return Said(text, data.tag, data.url, data.payload, decoded) if isinstance(data.tag, str) else None
