"""The replay itself: what the client was, as it says of itself (API.md's `clientInfo`) or as others know."""

from typing import Annotated, Any, NamedTuple

from replay.relations.columns import Double, Kind, Text
from replay.relations.shape import flat, make
from replay.relations.values import dump, parse

_NAMED = {"name": (str,), "version": (str,)}
_TYPED = {"type": (str,)}
_SIZED = {"width": (int, float), "height": (int, float)}


class Replay(NamedTuple):
    """A complete session, saved in one piece; its key is `replay_id` alone."""

    html_hash: Annotated[Text, "of the page it begins with: 64 hexadecimal digits"]
    browser_name: Text
    browser_version: Text
    os_name: Text
    os_version: Text
    device_type: Text
    viewport_width: Annotated[Double, "CSS px"]
    viewport_height: Double
    ip: Text
    rest: Annotated[str | None, Kind.REST, "JSON of what the client says of itself besides"]


def replay_row(client_info: bytes, otherwise: Replay) -> Replay:
    """What a client says of itself, a JSON object; `otherwise` has what it does not say."""
    said: dict[str, Any] = parse(client_info)
    said, browser = flat(said, "browser", _NAMED)
    said, system = flat(said, "os", _NAMED)
    said, device = flat(said, "device", _TYPED)
    said, viewport = flat(said, "viewport", _SIZED)
    ip = said.pop("ip") if type(said.get("ip")) is str else None
    told = (None, *browser, *system, *device, *viewport, ip, dump(said) if said else None)
    return make(
        Replay, (known if value is None else value for value, known in zip(told, otherwise, strict=True))
    )
