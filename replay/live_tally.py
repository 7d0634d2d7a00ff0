"""What the custom events of a live session (`replay.live_payload`) bring to the summary of their recording."""

from array import array
from typing import Any

import msgspec
from msgspec import Raw

from replay import surrogates
from replay.live_payload import (
    DESTINATION,
    ERROR_LEVEL,
    HEIGHT,
    INTERACTIONS,
    LEVEL,
    REQUESTS,
    STATUS,
    WIDTH,
    Tag,
    first,
    page,
)

_NULL = Raw(b"null")


class _Data(msgspec.Struct):
    tag: Any = None
    payload: Raw = _NULL
    url: Raw = _NULL


class _Custom(msgspec.Struct):
    data: _Data


_custom = msgspec.json.Decoder(_Custom)
_object = msgspec.json.Decoder(dict[str, Raw])
_list = msgspec.json.Decoder(list[Raw])
_value = msgspec.json.Decoder()


class LiveTally:
    """Gathers, event by event in the order of arrival; places are those. Of a URL it keeps `href_max` characters."""

    def __init__(self, href_max: int) -> None:
        self._href_max = href_max
        self.clicks = self.inputs = self.scrolls = self.navigations = 0
        self.console_errors = self.network_errors = 0
        self.interactions: array[int] = array("Q")  # places
        self.pages: dict[int, str] = {}  # place → url
        self.resized: dict[int, tuple[Any, Any]] = {}  # place → width, height, of any type

    def add(self, place: int, event: bytes | Raw) -> None:
        """A custom event, as its stored JSON."""
        custom = decoded(_custom, event)
        if custom is None or not isinstance(custom.data.tag, str):
            return
        tag, payload = custom.data.tag, custom.data.payload
        if tag in INTERACTIONS:
            self.interactions.append(place)
            self.clicks += tag == Tag.MOUSE_CLICK
            self.inputs += tag == Tag.INPUT
            self.scrolls += tag == Tag.SCROLL
        elif tag == Tag.NAVIGATION:
            self.navigations += 1
            said = decoded(_object, payload) or {"to": payload}
            if url := page(_read(said, DESTINATION), _of(custom.data.url)):
                self.pages[place] = surrogates.storable(url[: self._href_max])
        elif tag == Tag.RESIZE:
            said = decoded(_object, payload) or {}
            self.resized[place] = _read(said, WIDTH), _read(said, HEIGHT)
        elif tag == Tag.ERROR:
            self.console_errors += 1
        elif tag == Tag.CONSOLE:
            level = _read(decoded(_object, payload) or {}, LEVEL)
            self.console_errors += isinstance(level, str) and level.lower() == ERROR_LEVEL
        elif tag == Tag.NETWORK_REQUEST:
            for request in _requests(payload):
                status = _read(request, STATUS)
                self.network_errors += type(status) in (int, float) and (status == 0 or status >= 400)


def _requests(payload: Raw) -> list[dict[str, Raw]]:
    """Those of which there are rows, too (`replay.relations.live`)."""
    request = decoded(_object, payload)
    if request is not None and REQUESTS not in request:
        return [request]
    listed = payload if request is None else request[REQUESTS]
    requests = (decoded(_object, one) for one in decoded(_list, listed) or ())
    return [one for one in requests if one is not None]


def _read(members: dict[str, Raw], names: tuple[str, ...]) -> Any:
    return _of(first(members, names))


def _of(value: Raw | None) -> Any:
    return None if value is None else decoded(_value, value)


def decoded(decoder: msgspec.json.Decoder[Any], text: bytes | Raw) -> Any:
    """None for what has another shape: a figure is no reason to refuse an event."""
    try:
        return surrogates.decode(decoder, text)
    except (msgspec.DecodeError, RecursionError):
        return None
