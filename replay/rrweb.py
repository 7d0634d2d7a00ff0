"""The numbers of rrweb, by name, and the kind of an event: its type, and for increments its source.

Sources: `@rrweb/types` (`EventType`, `IncrementalSource`, `MouseInteractions`, `PointerTypes`, `MediaInteractions`,
`CanvasContext`, `NodeType`) for all current numbers; `LOG` is the legacy source 11 of rrweb 0.9 (`recordLog`); `ASSET` is
event type 7 of rrweb's asset branch. New recorders bring new numbers: such events are kept and called `unknown`.
"""

from enum import IntEnum


class EventType(IntEnum):
    """`type` of an event."""

    DOM_CONTENT_LOADED = 0
    LOAD = 1
    FULL_SNAPSHOT = 2
    INCREMENTAL_SNAPSHOT = 3
    META = 4
    CUSTOM = 5
    PLUGIN = 6
    ASSET = 7


class Source(IntEnum):
    """`data.source` of an incremental snapshot."""

    MUTATION = 0
    MOUSE_MOVE = 1
    MOUSE_INTERACTION = 2
    SCROLL = 3
    VIEWPORT_RESIZE = 4
    INPUT = 5
    TOUCH_MOVE = 6
    MEDIA_INTERACTION = 7
    STYLE_SHEET_RULE = 8
    CANVAS_MUTATION = 9
    FONT = 10
    LOG = 11
    DRAG = 12
    STYLE_DECLARATION = 13
    SELECTION = 14
    ADOPTED_STYLE_SHEET = 15
    CUSTOM_ELEMENT = 16


class MouseInteraction(IntEnum):
    """`data.type` of a mouse interaction."""

    MOUSE_UP = 0
    MOUSE_DOWN = 1
    CLICK = 2
    CONTEXT_MENU = 3
    DBL_CLICK = 4
    FOCUS = 5
    BLUR = 6
    TOUCH_START = 7
    TOUCH_MOVE_DEPARTED = 8
    TOUCH_END = 9
    TOUCH_CANCEL = 10


class Pointer(IntEnum):
    """`data.pointerType` of a mouse interaction."""

    MOUSE = 0
    PEN = 1
    TOUCH = 2


class MediaInteraction(IntEnum):
    """`data.type` of a media interaction."""

    PLAY = 0
    PAUSE = 1
    SEEKED = 2
    VOLUME_CHANGE = 3
    RATE_CHANGE = 4


class CanvasContext(IntEnum):
    """`data.type` of a canvas mutation."""

    CONTEXT_2D = 0
    WEBGL = 1
    WEBGL2 = 2


class NodeType(IntEnum):
    """`type` of a serialized node."""

    DOCUMENT = 0
    DOCUMENT_TYPE = 1
    ELEMENT = 2
    TEXT = 3
    CDATA = 4
    COMMENT = 5


CONSOLE_PLUGIN = "rrweb/console@1"  # @rrweb/rrweb-plugin-console-record
NETWORK_PLUGIN = "rrweb/network@1"  # the network plugin of rrweb, and PostHog's

# A kind is one small number: the type itself, or SOURCE_BASE + source for increments.
SOURCE_BASE = 32
UNKNOWN_TYPE = 31
UNKNOWN_SOURCE = 63

# What a person does: the sources that PostHog counts as activity (`activeSources` in its `rrweb-types.ts`).
INTERACTIONS = frozenset(
    SOURCE_BASE + source
    for source in (
        Source.MOUSE_MOVE,
        Source.MOUSE_INTERACTION,
        Source.SCROLL,
        Source.VIEWPORT_RESIZE,
        Source.INPUT,
        Source.TOUCH_MOVE,
        Source.MEDIA_INTERACTION,
        Source.DRAG,
    )
)

KIND_NAMES = (
    {int(t): t.name.lower() for t in EventType if t is not EventType.INCREMENTAL_SNAPSHOT}
    | {SOURCE_BASE + s: s.name.lower() for s in Source}
    | {UNKNOWN_TYPE: "unknown", UNKNOWN_SOURCE: "unknown"}
)

_INCREMENT = int(EventType.INCREMENTAL_SNAPSHOT)  # plain numbers: this runs once for each event
_LAST_TYPE = int(max(EventType))
_LAST_SOURCE = int(max(Source))


def kind(event_type: int, source: int) -> int:
    """The kind of an event; `source` counts only for incremental snapshots."""
    if event_type == _INCREMENT:
        return SOURCE_BASE + source if source <= _LAST_SOURCE else UNKNOWN_SOURCE
    return event_type if event_type <= _LAST_TYPE else UNKNOWN_TYPE


def is_increment(kind: int) -> bool:
    return kind >= SOURCE_BASE
