"""What stands around rrweb events in the files that people have, and the events in it.

A file is one JSON text, or several one after the other (JSON lines, which may be indented). Each of them is one of:

| text | from |
|---|---|
| `[event, …]` | rrweb itself |
| `event`, an object with a `type`, or a string that is a packed event | `tapedeck events --ndjson`; one event a line |
| `{"events": […], …}` | an envelope for `POST /api/v1/recordings`, or a body for `POST /api/save-replay` |
| `{"window_id": w, "data": […]}`, or `[w, event]` | PostHog, stored blobs |
| `{"snapshots": […]}`, `{"snapshot_data_by_window_id": {w: […]}}`, `{"snapshotsByWindowId": {w: […]}}` | PostHog, API and exports |
| `{"event": "$snapshot", "properties": {"$snapshot_data": […], "$window_id": w}}` | posthog-js, as it sends them |
| `{"segment_id": 0}`, then an array | Sentry, segments |
| any of these in an array, or as the `result`, `data` or `batch` of an object | |

Events stay the bytes that the file has. Only where a wrapper names a window and the event does not, the name would be
lost with the wrapper: it becomes the event's last member, `"windowId"`, which is what PostHog's player calls it.

A file may hold several recordings. What names a session (`session_id`, `sessionId`, `$session_id`; the `id` beside
`snapshots`) is one with all that names the same; each envelope that names none is one of its own; everything else
belongs together.
"""

import msgspec
from msgspec import UNSET, Raw, UnsetType

from app.unwrapped import Around, BadFile, NoRecording, Part, Unwrapped
from replay import surrogates, utf8

__all__ = ["BadFile", "NoRecording", "Unwrapped", "unwrap", "unwrap_all"]

_SAVE_REPLAY = {"consoleLogs": "console_logs", "networkLogs": "network_logs", "clientInfo": "client_info"}
_NOBODY = (b"null", b'""')
_OBJECT, _ARRAY, _STRING = ord("{"), ord("["), ord('"')
_EVENT_STRINGS = (b'"x', b'"{')  # zlib data, or an event's JSON text


class _Properties(msgspec.Struct, gc=False):
    snapshot_data: Raw | UnsetType = msgspec.field(name="$snapshot_data", default=UNSET)
    window_id: Raw | UnsetType = msgspec.field(name="$window_id", default=UNSET)
    session_id: Raw | UnsetType = msgspec.field(name="$session_id", default=UNSET)


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
    session_id: Raw | UnsetType = UNSET
    sessionId: Raw | UnsetType = UNSET  # noqa: N815 (beside `session_id` no other name is left)
    id: Raw | UnsetType = UNSET


_ABOUT = ("type", "data", "session_id", "sessionId", "id")  # members that other objects have too
_WRAPPING = tuple(name for name in _Object.__struct_fields__ if name not in _ABOUT)

_texts = msgspec.json.Decoder(Raw).decode_lines
_array = msgspec.json.Decoder(list[Raw]).decode
_members = msgspec.json.Decoder(dict[str, Raw]).decode
_object = msgspec.json.Decoder(_Object).decode
_properties = msgspec.json.Decoder(_Properties).decode


def unwrap(text: bytearray) -> Unwrapped:
    """The recording in a file's decompressed bytes; of several, or none, BadFile. As `unwrap_all` otherwise."""
    found = unwrap_all(text)
    if len(found) > 1:
        raise BadFile(f"{len(found)} recordings in one file; `tapedeck import` takes them all")
    return found[0]


def unwrap_all(text: bytearray) -> list[Unwrapped]:
    """The recordings in a file's decompressed bytes, at least one. Raises BadFile.

    The events are views of `text`, which changes while this runs and is as before afterwards (`replay.surrogates`).
    """
    if text.startswith(b"\xef\xbb\xbf"):
        del text[:3]  # a byte order mark
    if (offset := utf8.first_error(text)) is not None:
        raise BadFile(f"invalid UTF-8 at byte {offset}")
    try:
        try:
            found = _read(text)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            with surrogates.mended(text) as unpaired:
                if not unpaired:
                    raise
                found = _read(text)
    except msgspec.ValidationError as error:
        raise BadFile(f"a wrapper with something else inside: {error}") from None
    except msgspec.DecodeError as error:
        raise BadFile(
            str(error).replace("JSON is malformed", "malformed JSON").replace("Input data", "JSON")
        ) from None
    except RecursionError:
        raise BadFile("nested too deeply") from None
    recordings = [part.unwrapped() for part in found if part.events or part.members]
    if not recordings:
        raise NoRecording("no events in it")
    return recordings


class _Reader:
    """Sorts what a file holds into recordings."""

    def __init__(self) -> None:
        self.parts = [Part()]
        self._loose = self.parts[0]  # where events go that no session is named for
        self._of_session: dict[bytes, Part] = {}

    def document(self, value: Raw, around: Around = Around()) -> None:  # noqa: B008 (immutable)
        kind = memoryview(value)[0]
        if kind == _ARRAY:
            self._array(_array(value), around)
        elif kind == _OBJECT:
            self._object(value, around)
        elif kind == _STRING:
            self._event(value, around.within("lines"))
        else:
            raise NoRecording(f"neither an event nor a wrapper of events: {_excerpt(value)}")

    def _array(self, items: list[Raw], around: Around) -> None:
        if _is_pair(items):
            self._event(items[1], around.within("PostHog blob", _named(items[0])))
        elif items and _is_wrapper(items[0]):
            inside = around.within("segments") if memoryview(items[0])[0] == _ARRAY else around
            for item in items:
                self.document(item, inside)
        else:
            inside = around.within("array")
            for item in items:
                self._event(item, inside)

    def _object(self, value: Raw, around: Around) -> None:
        found = _object(value)
        window, session = _named(found.window_id), _named(found.session_id) or _named(found.sessionId)
        if _is_event(found):
            self._event(value, around.within("lines"))
        elif found.events:
            self._envelope(value, found.events, around.within("envelope", window, session))
        elif found.properties:
            batch = _properties(found.properties)
            if batch.snapshot_data:  # other events of posthog-js stand among the snapshots
                window, session = _named(batch.window_id) or window, _named(batch.session_id) or session
                self.document(batch.snapshot_data, around.within("PostHog batches", window, session))
        elif by_window := found.snapshot_data_by_window_id or found.snapshots_by_window_id:
            inside = around.within("PostHog by window", None, session or _named(found.id))
            for name, events in _members(by_window).items():
                self.document(events, inside._replace(window=Raw(msgspec.json.encode(name))))
        elif found.snapshots:
            session = session or _named(found.id)
            self.document(found.snapshots, around.within("PostHog snapshots", window, session))
        elif inner := found.result or found.data or found.batch:
            self.document(inner, around.within("PostHog blob" if window else None, window, session))
        elif found.segment_id:
            self._loose.wrapper = self._loose.wrapper or "Sentry segments"
        else:
            raise NoRecording(f"neither an event nor a wrapper of events: {_excerpt(value)}")

    def _envelope(self, value: Raw, events: Raw, around: Around) -> None:
        members = {
            _SAVE_REPLAY.get(name, name): member
            for name, member in _members(value).items()
            if name != "events"
        }
        if not around.session and members and self._loose.members:
            self._loose = Part()
            self.parts.append(self._loose)
        part = self._part(around)
        part.join(members)
        part.wrapper = part.wrapper or around.wrapper
        self.document(events, around)

    def _event(self, event: Raw, around: Around) -> None:
        self._part(around).add(event, around)

    def _part(self, around: Around) -> Part:
        if around.session is None:
            return self._loose
        name = bytes(around.session)
        if name not in self._of_session:
            self._of_session[name] = Part(around.session)
            self.parts.append(self._of_session[name])
        return self._of_session[name]


def _read(text: bytearray) -> list[Part]:
    reader = _Reader()
    for document in _texts(text):
        reader.document(document)
    return reader.parts


def _is_event(found: _Object) -> bool:
    return found.type is not UNSET and memoryview(found.type)[0] != _STRING


def _is_pair(items: list[Raw]) -> bool:
    """A window's name and an event, not two events."""
    return (
        len(items) == 2
        and memoryview(items[0])[0] == _STRING
        and memoryview(items[1])[0] == _OBJECT
        and memoryview(items[0])[:2] not in _EVENT_STRINGS
    )


def _is_wrapper(value: Raw) -> bool:
    kind = memoryview(value)[0]
    if kind != _OBJECT:
        return kind == _ARRAY
    found = _object(value)
    return not _is_event(found) and any(getattr(found, name) for name in _WRAPPING)


def _named(name: Raw | UnsetType) -> Raw | None:
    return None if name is UNSET or bytes(name) in _NOBODY else name


def _excerpt(value: Raw) -> str:
    start = bytes(value)[:60].decode(errors="replace")
    return start if len(value) <= 60 else f"{start}…"
