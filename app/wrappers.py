"""What stands around rrweb events in the files that people have, and the events in it.

A file is one JSON text, or several one after the other (JSON lines, which may be indented). Each of them is one of:

| text | from |
|---|---|
| `[event, …]` | rrweb itself |
| `event`, an object with a `type`, or a string that is a packed event | `tapedeck events --ndjson`; one event a line |
| `{"events": […], …}` | an envelope for `POST /api/v1/recordings`, or a body for `POST /api/save-replay` |
| `{"window_id": w, "data": […]}` | PostHog, stored blobs |
| `{"snapshots": […]}`, `{"snapshot_data_by_window_id": {w: […]}}`, `{"snapshotsByWindowId": {w: […]}}` | PostHog, API and exports |
| `{"event": "$snapshot", "properties": {"$snapshot_data": […], "$window_id": w}}` | posthog-js, as it sends them |
| `{"segment_id": 0}`, then an array | Sentry, segments |
| any of these in an array, or as the `result`, `data` or `batch` of an object | |

Events stay the bytes that the file has. Only where a wrapper names a window and the event does not, the name would be
lost with the wrapper: it becomes the event's last member, `"windowId"`, which is what PostHog's player calls it.
"""

from typing import NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from app.exits import USAGE, Exit
from replay import surrogates, unpack, utf8
from replay.events import Rejected

# Times before this are no Unix milliseconds of any recording (it is March 1973): the stream counts from its own start.
EARLIEST_MS = 1e11
LATEST_MS = 253402300799999.0  # the last millisecond of the year 9999, where ISO 8601's four digits end

_SAVE_REPLAY = {"consoleLogs": "console_logs", "networkLogs": "network_logs", "clientInfo": "client_info"}
_NO_WINDOWS = (b"null", b'""')
_OBJECT, _ARRAY, _STRING = ord("{"), ord("["), ord('"')


class BadFile(Exit):
    """A file that holds no recording."""

    status = USAGE
    code = "bad_file"


class Unwrapped(NamedTuple):
    """`events` as raw JSON, `members` of the envelope around them (none: {}); `first_ms`: when the earliest event was."""

    events: list[Raw | bytes]
    members: dict[str, Raw]
    first_ms: float | None


class _Properties(msgspec.Struct, gc=False):
    snapshot_data: Raw | UnsetType = msgspec.field(name="$snapshot_data", default=UNSET)
    window_id: Raw | UnsetType = msgspec.field(name="$window_id", default=UNSET)


class _Object(msgspec.Struct, gc=False):
    type: Raw | UnsetType = UNSET
    events: Raw | UnsetType = UNSET
    snapshots: Raw | UnsetType = UNSET
    snapshot_data_by_window_id: Raw | UnsetType = UNSET
    snapshots_by_window_id: Raw | UnsetType = msgspec.field(name="snapshotsByWindowId", default=UNSET)
    properties: Raw | UnsetType = UNSET
    window_id: Raw | UnsetType = UNSET
    data: Raw | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    batch: Raw | UnsetType = UNSET
    segment_id: Raw | UnsetType = UNSET


class _Event(msgspec.Struct, gc=False):
    timestamp: float | None = None
    window_id: Raw | UnsetType = UNSET
    windowId: Raw | UnsetType = UNSET  # noqa: N815 (beside `window_id` no other name is left)


_WRAPPING = tuple(name for name in _Object.__struct_fields__ if name not in ("type", "data"))

_texts = msgspec.json.Decoder(Raw).decode_lines
_array = msgspec.json.Decoder(list[Raw]).decode
_members = msgspec.json.Decoder(dict[str, Raw]).decode
_object = msgspec.json.Decoder(_Object).decode
_properties = msgspec.json.Decoder(_Properties).decode
_event = msgspec.json.Decoder(_Event)


def unwrap(text: bytearray) -> Unwrapped:
    """The recording in a file's decompressed bytes. Raises BadFile.

    The events are views of `text`, which changes while this runs and is as before afterwards (`replay.surrogates`).
    """
    if text.startswith(b"\xef\xbb\xbf"):
        del text[:3]  # a byte order mark
    if (offset := utf8.first_error(text)) is not None:
        raise BadFile(f"invalid UTF-8 at byte {offset}")
    try:
        try:
            reader = _read(text)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            with surrogates.mended(text) as found:
                if not found:
                    raise
                reader = _read(text)
    except msgspec.ValidationError as error:
        raise BadFile(f"a wrapper with something else inside: {error}") from None
    except msgspec.DecodeError as error:
        raise BadFile(
            str(error).replace("JSON is malformed", "malformed JSON").replace("Input data", "JSON")
        ) from None
    except RecursionError:
        raise BadFile("nested too deeply") from None
    events: list[Raw | bytes] = [*reader.events]
    for place, window in reader.windows.items():
        events[place] = _with_window(reader.events[place], window)
    return Unwrapped(events, reader.members, reader.first_ms)


class _Reader:
    """Collects events, which window each one needs to be told, and what else `unwrap` returns."""

    def __init__(self) -> None:
        self.events: list[Raw] = []
        self.windows: dict[int, Raw] = {}
        self.members: dict[str, Raw] = {}
        self.first_ms: float | None = None

    def document(self, value: Raw, window: Raw | None = None) -> None:
        kind = memoryview(value)[0]
        if kind == _ARRAY:
            items = _array(value)
            if items and _is_wrapper(items[0]):
                for item in items:
                    self.document(item, window)
            else:
                for item in items:
                    self._event(item, window)
        elif kind == _OBJECT:
            self._object(value, window)
        elif kind == _STRING:
            self._event(value, window)
        else:
            raise BadFile(f"neither an event nor a wrapper of events: {_excerpt(value)}")

    def _object(self, value: Raw, window: Raw | None) -> None:
        found = _object(value)
        window = _named(found.window_id) or window
        if _is_event(found):
            self._event(value, window)
        elif found.events:
            self._envelope(value, found.events)
        elif found.properties:
            batch = _properties(found.properties)
            if batch.snapshot_data:  # other events of posthog-js stand among the snapshots
                self.document(batch.snapshot_data, _named(batch.window_id) or window)
        elif by_window := found.snapshot_data_by_window_id or found.snapshots_by_window_id:
            for name, events in _members(by_window).items():
                self.document(events, Raw(msgspec.json.encode(name)))
        elif inner := found.snapshots or found.result or found.data or found.batch:
            self.document(inner, window)
        elif not found.segment_id:
            raise BadFile(f"neither an event nor a wrapper of events: {_excerpt(value)}")

    def _envelope(self, value: Raw, events: Raw) -> None:
        if self.members:
            raise BadFile("more than one envelope; put each into a file of its own")
        members = _members(value)
        self.members = {
            _SAVE_REPLAY.get(name, name): member for name, member in members.items() if name != "events"
        }
        self.document(events)

    def _event(self, event: Raw, window: Raw | None) -> None:
        head = _head(event)
        if head.timestamp is not None:
            if EARLIEST_MS <= head.timestamp <= LATEST_MS:
                self.first_ms = min(head.timestamp, self.first_ms or LATEST_MS)
            if window and not (head.window_id or head.windowId) and memoryview(event)[0] == _OBJECT:
                self.windows[len(self.events)] = window
        self.events.append(event)


def _read(text: bytearray) -> _Reader:
    reader = _Reader()
    for document in _texts(text):
        reader.document(document)
    return reader


def _is_event(found: _Object) -> bool:
    return found.type is not UNSET and memoryview(found.type)[0] != _STRING


def _is_wrapper(value: Raw) -> bool:
    kind = memoryview(value)[0]
    if kind != _OBJECT:
        return kind == _ARRAY
    found = _object(value)
    return not _is_event(found) and any(getattr(found, name) for name in _WRAPPING)


def _head(event: Raw) -> _Event:
    try:
        return surrogates.decode(
            _event, unpack.unpack_string(event) if memoryview(event)[0] == _STRING else event
        )
    except (msgspec.DecodeError, Rejected):
        return _Event()  # the deck says what is wrong with it, and keeps it


def _with_window(event: Raw, window: Raw) -> bytes:
    return b'%b,"windowId":%b}' % (bytes(event)[:-1].rstrip(), bytes(window))


def _named(window: Raw | UnsetType) -> Raw | None:
    return None if window is UNSET or bytes(window) in _NO_WINDOWS else window


def _excerpt(value: Raw) -> str:
    start = bytes(value)[:60].decode(errors="replace")
    return start if len(value) <= 60 else f"{start}…"
