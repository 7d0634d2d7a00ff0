"""What the custom events of live sessions say: the types that API.md knows, and the names by which SDKs call their members.

Of several names of one thing the first that is there counts.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urljoin

T = TypeVar("T")


class Tag(StrEnum):
    """`data.tag`: the eventType that it came with."""

    DOM_MUTATION = "dom_mutation"
    MOUSE_CLICK = "mouse_click"
    MOUSE_MOVE = "mouse_move"
    SCROLL = "scroll"
    INPUT = "input"
    NAVIGATION = "navigation"
    NETWORK_REQUEST = "network_request"
    CONSOLE = "console"
    ERROR = "error"
    VISIBILITY_CHANGE = "visibility_change"
    RESIZE = "resize"


INTERACTIONS = frozenset((Tag.MOUSE_CLICK, Tag.MOUSE_MOVE, Tag.SCROLL, Tag.INPUT))

DESTINATION = ("to", "url", "href", "path")
WIDTH = ("width", "innerWidth", "viewportWidth")
HEIGHT = ("height", "innerHeight", "viewportHeight")

LEVEL = ("level", "severity", "method", "type")
ARGS = ("args", "arguments", "payload", "message", "msg", "text")
ERROR_ARGS = ("message", "msg", "error", "reason", "description", "text")
TRACE = ("trace", "stack", "stackTrace", "stacktrace")
ERROR_LEVEL = "error"

REQUESTS = "requests"  # several in one event
STATUS = ("status", "statusCode", "status_code", "responseStatus", "response_status")
REQUEST_NAMES = {
    "url": ("url", "uri", "href", "name"),
    "method": ("method", "httpMethod", "verb"),
    "status": STATUS,
    "duration": ("duration", "durationMs", "duration_ms"),
    "startTime": ("startTime", "start_time"),
    "endTime": ("endTime", "end_time"),
    "error": ("error", "errorMessage"),
}
"""Members of a network log (API.md), by the names that they may have."""


def first(members: Mapping[str, T], names: tuple[str, ...]) -> T | None:
    """The member that goes by one of these names."""
    return next((members[name] for name in names if name in members), None)


def page(to: object, url: object) -> str | None:
    """Where a navigation led: to its destination, seen from the page that the event names; else to that page."""
    if not isinstance(url, str):
        return to if isinstance(to, str) else None
    if not isinstance(to, str):
        return url
    try:
        return urljoin(url, to)
    except ValueError:  # no URL that anyone could follow
        return to
