"""What a session was recorded with, and on: browser, operating system, kind of device, viewport, address.

Each part comes from the client's own words, else from the events, else from the request (`Client.or_else`).
"""

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec import Raw

from replay import surrogates
from replay.ip import allowed
from replay.privacy import IpAddresses

TEXT_MAX = 200
_PIXELS_MAX = 2**31 - 1
_NUMBER_MAX = 1e15  # of a version that came as a number

_anything = msgspec.json.Decoder()


class Client(msgspec.Struct, frozen=True):
    """None where nobody knows. The viewport is in CSS pixels."""

    browser_name: str | None = None
    browser_version: str | None = None
    os_name: str | None = None
    os_version: str | None = None
    device_type: str | None = None
    viewport_width: int | None = None
    viewport_height: int | None = None
    ip: str | None = None

    def or_else(self, other: "Client") -> "Client":
        """This, with what it lacks from another. A version goes with its name, and a height with its width."""
        return Client(
            *_first((self.browser_name, self.browser_version), (other.browser_name, other.browser_version)),
            *_first((self.os_name, self.os_version), (other.os_name, other.os_version)),
            self.device_type or other.device_type,
            *_first(
                (self.viewport_width, self.viewport_height), (other.viewport_width, other.viewport_height)
            ),
            self.ip or other.ip,
        )

    def masked(self, mask: Callable[[str], str], policy: IpAddresses) -> "Client":
        """What may be kept of it: texts masked, the address as the policy says."""
        texts = ("browser_name", "browser_version", "os_name", "os_version", "device_type")
        changed = {name: value and mask(value) for name in texts for value in [getattr(self, name)]}
        return msgspec.structs.replace(self, **changed, ip=self.ip and allowed(self.ip, policy))


def client_of(client_info: Raw, viewports: Iterable[tuple[Any, Any]]) -> Client:
    """What these words of a client say, and then the first of these viewports (width, height) that is one."""
    try:
        said = surrogates.decode(_anything, client_info)
    except (msgspec.DecodeError, RecursionError):  # such as a number that is out of range
        said = None
    own = Client(
        _text(said, "browser", "name"),
        _text(said, "browser", "version"),
        _text(said, "os", "name"),
        _text(said, "os", "version"),
        _text(said, "device", "type"),
        *_viewport(_member(said, "viewport", "width"), _member(said, "viewport", "height")),
        _address(_text(said, "ip")),
    )
    for width, height in viewports:
        own = own.or_else(Client(None, None, None, None, None, *_viewport(width, height)))
    return own


def _first(*pairs: tuple[Any, Any]) -> tuple[Any, Any]:
    return next((pair for pair in pairs if pair[0] is not None), pairs[0])


def _member(said: Any, *path: str) -> Any:
    for name in path:
        said = said.get(name) if isinstance(said, dict) else None
    return said


def _text(said: Any, *path: str) -> str | None:
    value = _member(said, *path)
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _NUMBER_MAX:
        value = str(value)
    return (surrogates.storable(value)[:TEXT_MAX].strip() or None) if isinstance(value, str) else None


def _viewport(width: Any, height: Any) -> tuple[int | None, int | None]:
    if all(
        isinstance(n, int | float) and not isinstance(n, bool) and 0 <= n <= _PIXELS_MAX
        for n in (width, height)
    ):
        return round(width), round(height)
    return None, None


def _address(text: str | None) -> str | None:
    try:
        return text and str(ipaddress.ip_address(text))
    except ValueError:
        return None
