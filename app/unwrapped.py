"""One recording, while wrappers are taken off its events (`app.wrappers`), and what is told when there is none."""

from typing import NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from app.exits import USAGE, Exit
from replay import surrogates, unpack
from replay.events import Rejected

# Times before this are no Unix milliseconds of any recording (it is March 1973): the stream counts from its own start.
EARLIEST_MS = 1e11
LATEST_MS = 253402300799999.0  # the last millisecond of the year 9999, where ISO 8601's four digits end

# What several envelopes of a session say: lists go one after the other; sums of a part are not those of the whole.
_LISTS = ("console_logs", "network_logs", "navigations")
_SUMS = ("event_count", "duration_ms", "ended_at")
_OBJECT, _ARRAY, _STRING = ord("{"), ord("["), ord('"')


class BadFile(Exit):
    """A file that cannot be read as the recording that it seems to be."""

    status = USAGE
    code = "bad_file"


class NoRecording(BadFile):
    """A file that is something else."""


class Unwrapped(NamedTuple):
    """One recording: `events` as raw JSON, `members` of the envelope around them (none: {}).

    `first_ms`: when the earliest event was. `wrapper` names what the events were in, `session` what the wrapper does.
    """

    events: list[Raw | bytes]
    members: dict[str, Raw]
    first_ms: float | None
    wrapper: str
    session: str | None


class _Event(msgspec.Struct, gc=False):
    timestamp: float | None = None
    window_id: Raw | UnsetType = UNSET
    windowId: Raw | UnsetType = UNSET  # noqa: N815 (beside `window_id` no other name is left)


_event = msgspec.json.Decoder(_Event)


class Around(NamedTuple):
    """What the wrappers around an event say."""

    wrapper: str | None = None
    window: Raw | None = None
    session: Raw | None = None

    def within(self, wrapper: str | None, window: Raw | None = None, session: Raw | None = None) -> "Around":
        return Around(self.wrapper or wrapper, window or self.window, session or self.session)


class Part:
    """Collects one recording: its events, which window each one needs to be told, and what else `Unwrapped` has."""

    def __init__(self, session: Raw | None = None) -> None:
        self.session = session
        self.events: list[Raw] = []
        self.windows: dict[int, Raw] = {}
        self.members: dict[str, Raw] = {}
        self.first_ms: float | None = None
        self.wrapper: str | None = None
        self._lists: dict[str, list[Raw]] = {}

    def add(self, event: Raw, around: Around) -> None:
        self.wrapper = self.wrapper or around.wrapper
        head = _head(event)
        if head.timestamp is not None:
            if EARLIEST_MS <= head.timestamp <= LATEST_MS:
                self.first_ms = min(head.timestamp, self.first_ms or LATEST_MS)
            if around.window and not (head.window_id or head.windowId) and memoryview(event)[0] == _OBJECT:
                self.windows[len(self.events)] = around.window
        self.events.append(event)

    def join(self, members: dict[str, Raw]) -> None:
        """Take the members of another envelope of the same session: what came first holds."""
        if self.members and members:
            for name in _SUMS:
                self.members.pop(name, None)
                members.pop(name, None)
        for name in _LISTS:
            if name in members and memoryview(members[name])[0] == _ARRAY:
                self._lists.setdefault(name, []).append(members[name])
        self.members = members | self.members

    def unwrapped(self) -> Unwrapped:
        events: list[Raw | bytes] = [*self.events]
        for place, window in self.windows.items():
            events[place] = _with_window(self.events[place], window)
        packed = ", packed" if events and memoryview(events[0])[0] == _STRING else ""
        session = None if self.session is None else bytes(self.session).decode(errors="replace").strip('"')
        members = self.members | {name: _one(lists) for name, lists in self._lists.items() if len(lists) > 1}
        return Unwrapped(events, members, self.first_ms, f"{self.wrapper}{packed}", session)


def _head(event: Raw) -> _Event:
    try:
        return surrogates.decode(
            _event, unpack.unpack_string(event) if memoryview(event)[0] == _STRING else event
        )
    except (msgspec.DecodeError, Rejected):
        return _Event()  # the deck says what is wrong with it, and keeps it


def _with_window(event: Raw, window: Raw) -> bytes:
    return b'%b,"windowId":%b}' % (bytes(event)[:-1].rstrip(), bytes(window))


def _one(lists: list[Raw]) -> Raw:
    """JSON arrays as one, their items as they are."""
    return Raw(b"[%b]" % b",".join(filter(None, (bytes(items)[1:-1].strip() for items in lists))))
