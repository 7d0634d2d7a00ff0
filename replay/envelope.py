"""The envelope: the JSON object that `POST /api/v1/recordings` carries and that a payload holds, zstd-compressed.

`decode_upload` checks everything that makes a body acceptable or not. Events are left as raw slices of the body; what is
wrong inside one of them is found, counted and kept when the payload is planned (`replay.plan`).
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta, Raw

from replay import surrogates, utf8

NAME_MAX = 500
SAFE_INTEGER = 2**53 - 1  # ECMA-262, Number.MAX_SAFE_INTEGER: what every JSON client can say exactly

_COUNT = Annotated[int, Meta(ge=0, le=SAFE_INTEGER)]
_OFFSET = re.compile(r"^(?:JSON is malformed: )?(.*?)(?: \(byte (\d+)\))?$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field '(\w+)'")
_NULL = Raw(b"null")
_OBJECT = ord("{")
_EVENT_STARTS = {_OBJECT, ord('"')}


class BadEnvelope(Exception):
    """A body that is refused. `field` is its path (`events[3]`, `navigations[0].url`), None when it is the whole body.

    `faults` are (field, message) pairs: that one, and others that were found with it.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.faults: list[tuple[str | None, str]] = [(field, message)]

    @classmethod
    def of(cls, faults: Sequence[tuple[str | None, str]]) -> "BadEnvelope":
        """The refusal for all of these."""
        field, message = faults[0]
        bad = cls(message, field)
        bad.faults = list(faults)
        return bad


class Navigation(msgspec.Struct):
    """A page that was visited, `timestamp_ms` milliseconds from the start of the recording."""

    url: str
    timestamp_ms: int | float


class Envelope(msgspec.Struct):
    """What was sent, checked. `events` and the logs are slices of the body, which they keep alive."""

    started_at: datetime
    events: list[Raw]
    name: str | None = None
    ended_at: datetime | None = None
    duration_ms: int | None = None
    event_count: int | None = None
    navigations: list[Navigation] = []
    project_id: UUID | None = None
    has_video: bool = False
    has_audio: bool = False
    open: bool = False
    console_logs: list[Raw] = []
    network_logs: list[Raw] = []
    client_info: Raw | None = None


class _Sent(msgspec.Struct):
    started_at: str
    events: list[Raw]
    name: Annotated[str, Meta(max_length=NAME_MAX)] | None = None
    ended_at: str | None = None
    duration_ms: _COUNT | None = None
    event_count: _COUNT | None = None
    navigations: list[Navigation] | None = None
    project_id: UUID | None = None
    has_video: bool = False
    has_audio: bool = False
    open: bool = False
    console_logs: list[Raw] | None = None
    network_logs: list[Raw] | None = None
    client_info: Raw = _NULL  # msgspec takes no `Raw | None`


_decoder = msgspec.json.Decoder(_Sent)


def decode_upload(body: bytes | bytearray | memoryview) -> Envelope:
    """The envelope in `body`. Raises BadEnvelope.

    Checked is all of API.md's table but who may do what. Unknown fields are ignored. The slices show the body's own
    bytes, unpaired surrogates included. A bytearray is changed while this runs, and is as before afterwards.
    """
    if (offset := utf8.first_error(body)) is not None:
        raise BadEnvelope(f"invalid UTF-8 at byte {offset}")
    envelope = decode_accepted(body)
    if not set(firsts := bytes([memoryview(event)[0] for event in envelope.events])) <= _EVENT_STARTS:
        i = next(i for i, first in enumerate(firsts) if first not in _EVENT_STARTS)
        raise BadEnvelope("must be an object, or a string that holds a packed event", f"events[{i}]")
    for field, logs in (("console_logs", envelope.console_logs), ("network_logs", envelope.network_logs)):
        for i, log in enumerate(logs):
            _check_object(f"{field}[{i}]", log)
    return envelope


def decode_accepted(body: bytes | bytearray | memoryview) -> Envelope:
    """What `decode_upload` makes of a body that it has taken before. Raises BadEnvelope.

    Not looked at again is what takes a look at every byte, event or log: that it is UTF-8, and what each of them begins with.
    So a log may be no object here (`replay.session` accepts such): it is rejected while planning (`replay.logs`).
    """
    try:
        sent = surrogates.decode(_decoder, body)
    except msgspec.ValidationError as error:
        raise wrong_type(error) from None
    except msgspec.DecodeError as error:
        raise malformed(error, len(body)) from None
    except RecursionError:
        raise BadEnvelope("nested too deeply") from None
    started_at = _timestamp("started_at", sent.started_at)
    ended_at = None if sent.ended_at is None else _timestamp("ended_at", sent.ended_at)
    if ended_at is not None and ended_at < started_at:
        raise BadEnvelope("must not be before started_at", "ended_at")
    navigations = sent.navigations or []
    for i, navigation in enumerate(navigations):
        _check_storable(f"navigations[{i}].url", navigation.url)
    if sent.name is not None:
        _check_storable("name", sent.name)
    if not (sent.events or sent.has_video or sent.open):
        raise BadEnvelope("must not be empty", "events")
    client_info = None if sent.client_info == _NULL else sent.client_info
    if client_info is not None:
        _check_object("client_info", client_info)
    return Envelope(
        started_at=started_at,
        events=sent.events,
        name=sent.name,
        ended_at=ended_at,
        duration_ms=sent.duration_ms,
        event_count=sent.event_count,
        navigations=navigations,
        project_id=sent.project_id,
        has_video=sent.has_video,
        has_audio=sent.has_audio,
        open=sent.open,
        console_logs=sent.console_logs or [],
        network_logs=sent.network_logs or [],
        client_info=client_info,
    )


def wrong_type(error: msgspec.ValidationError) -> BadEnvelope:
    """The refusal of a body for what its decoder found wrong with a field."""
    message, _, path = str(error).replace("`", "'").partition(" - at '$")
    field = path.removesuffix("'").lstrip(".")
    if missing := _MISSING.match(message):
        return BadEnvelope("is required", f"{field}.{missing[1]}" if field else missing[1])
    return BadEnvelope(message, field or None)


def malformed(error: msgspec.DecodeError, length: int) -> BadEnvelope:
    """The refusal of a body of so many bytes that is no JSON."""
    found = _OFFSET.match(str(error))
    reason, offset = (found[1], found[2]) if found else (str(error), None)
    if offset is None:
        reason, offset = "the body ends too early", str(length)
    return BadEnvelope(f"malformed JSON at byte {offset}: {reason}")


def _timestamp(field: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise BadEnvelope("needs an offset from UTC, such as Z or +02:00", field)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadEnvelope("must be an ISO 8601 timestamp with an offset from UTC", field) from None


def _check_storable(field: str, text: str) -> None:
    if "\0" in text:  # an unpaired surrogate reads as NUL too
        raise BadEnvelope("must not contain NUL or unpaired surrogates", field)


def _check_object(field: str, value: Raw) -> None:
    if memoryview(value)[0] != _OBJECT:
        raise BadEnvelope("must be an object", field)
