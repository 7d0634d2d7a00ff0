"""What the recordings API answers with: the JSON documents of API.md, part A, in the order of their fields."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar.openapi.spec.enums import OpenAPIFormat
from litestar.params import BodyKwarg
from msgspec import UNSET, UnsetType

from models.masking import Progress
from models.recording import FailureCode, Recording, Source, Status
from replay.envelope import Navigation
from replay.findings import Warning  # noqa: A004  # API.md's word
from replay.remask import Place
from replay.summary import Summary

Timestamp = Annotated[
    str, BodyKwarg(description="UTC, milliseconds at most.", schema_extra={"format": OpenAPIFormat.DATE_TIME})
]


class Created(msgspec.Struct):
    """A recording that was accepted: durable from now on, whatever happens. With a video: where to PUT it."""

    id: UUID
    status: Literal["uploading"]
    video_upload_url: str | UnsetType = UNSET
    video_upload_expires_at: Timestamp | UnsetType = UNSET


class UploadUrl(msgspec.Struct):
    """Where to PUT a video, with any content type or none, until then."""

    video_upload_url: str
    video_upload_expires_at: Timestamp


class Retried(msgspec.Struct):
    """A recording that was put back to work; `uploading` while its video is awaited."""

    id: UUID
    status: Status


class Relating(msgspec.Struct):
    """A recording whose events will be rows, soon."""

    id: UUID
    status: Status


class Hold(msgspec.Struct):
    """Whether nothing may delete a recording, and since when."""

    on_hold: bool
    since: Timestamp | None


class MaskingDocument(msgspec.Struct):
    """How far masking a recording is; its status never changes by that. `failed`: ask again, or see the logs."""

    id: UUID
    status: Status
    masking: Progress


class MaskDryRun(msgspec.Struct):
    """What masking would mask, by rule, and where: all is counted, the first places are told, and no value is."""

    dry_run: Literal[True]
    masked: dict[str, int]
    places: list[Place]


class FailureDocument(msgspec.Struct):
    """Why a recording failed; rely on `code`."""

    code: FailureCode
    message: str
    at: Timestamp


class EventsDocument(msgspec.Struct):
    """What happened to every event: received = stored + duplicate + rejected. Sizes in bytes."""

    received: int
    stored: int
    duplicate: int
    rejected: int
    bytes: int
    stored_bytes: int


class VideoDocument(msgspec.Struct):
    """The video, as it was found in storage. Size in bytes."""

    duration_ms: int | None
    bytes: int
    container: str
    codecs: list[str]
    has_audio: bool


class RecordingDocument(msgspec.Struct):
    """A recording. `events`, `summary`, `playable` and `video` are null until it was processed."""

    id: UUID
    tenant_id: UUID
    project_id: UUID
    user_id: UUID
    name: str | None
    status: Status
    started_at: Timestamp
    ended_at: Timestamp | None
    duration_ms: int | None
    event_count: int | None
    has_video: bool
    has_audio: bool
    navigations: list[Navigation]
    journey_id: UUID | None
    created_at: Timestamp
    updated_at: Timestamp
    source: Source
    session_id: str | None
    fingerprint: str | None
    continues: UUID | None
    failure: FailureDocument | None
    playable: bool | None
    warnings: list[Warning]
    events: EventsDocument | None
    summary: Summary | None
    masked: dict[str, int]
    video: VideoDocument | None


class RecordingStatus(msgspec.Struct):
    """What an ingest key may know of a recording that it made."""

    id: UUID
    status: Status
    failure: FailureDocument | None
    has_video: bool
    created_at: Timestamp
    updated_at: Timestamp


class RecordingList(msgspec.Struct):
    """One page, newest first. `next_cursor` is null on the last one."""

    recordings: list[RecordingDocument]
    next_cursor: UUID | None


class RejectedEvent(msgspec.Struct):
    """An event that was not stored, and why; `index` counts the received events from 0. A log that is no object, or
    whose known members have wrong types, comes after them: `bad_console_log` or `bad_network_log`, and `index` counts the
    received logs of its kind."""

    index: int
    reason: str
    event: Any


class LogsDocument(msgspec.Struct):
    """What came with the events, and which of them were rejected."""

    console: list[dict[str, Any]]
    network: list[dict[str, Any]]
    client_info: dict[str, Any]
    rejected: list[RejectedEvent]


def document_of(recording: Recording) -> RecordingDocument:
    """A recording as its readers see it."""
    return RecordingDocument(
        id=recording.id,
        tenant_id=recording.tenant_id,
        project_id=recording.project_id,
        user_id=recording.user_id,
        name=recording.name,
        status=recording.status,
        started_at=timestamp(recording.started_at),
        ended_at=timestamp(recording.ended_at) if recording.ended_at else None,
        duration_ms=recording.duration_ms,
        event_count=recording.event_count,
        has_video=recording.has_video,
        has_audio=recording.has_audio,
        navigations=msgspec.convert(recording.navigations, list[Navigation]),
        journey_id=None,
        created_at=timestamp(recording.created_at),
        updated_at=timestamp(recording.updated_at),
        source=recording.source,
        session_id=recording.session_id,
        fingerprint=recording.fingerprint,
        continues=recording.continues,
        failure=failure_of(recording),
        playable=recording.playable,
        warnings=msgspec.convert(recording.warnings, list[Warning]),
        events=msgspec.convert(recording.account, EventsDocument | None),
        summary=msgspec.convert(recording.summary, Summary | None),
        masked=recording.masked,
        video=msgspec.convert(recording.video, VideoDocument | None),
    )


def status_of(recording: Recording) -> RecordingStatus:
    """A recording as the ingest key that made it sees it."""
    return RecordingStatus(
        id=recording.id,
        status=recording.status,
        failure=failure_of(recording),
        has_video=recording.has_video,
        created_at=timestamp(recording.created_at),
        updated_at=timestamp(recording.updated_at),
    )


def failure_of(recording: Recording) -> FailureDocument | None:
    """Why it failed, or None."""
    if recording.failure_code is None or recording.failure_at is None:
        return None
    return FailureDocument(
        recording.failure_code, recording.failure_message or "", timestamp(recording.failure_at)
    )


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with `Z`; milliseconds only where there are any."""
    utc = moment.astimezone(UTC)
    precision = "milliseconds" if utc.microsecond >= 1000 else "seconds"
    return utc.isoformat(timespec=precision).replace("+00:00", "Z")
