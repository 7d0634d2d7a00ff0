"""Recordings and their payloads.

A recording's columns up to `fingerprint` are what the client said, until `process` has replaced `ended_at`,
`duration_ms`, `event_count` and `navigations` by what the events say. Only `models.lifecycle` changes a status.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, Sequence, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.columns import enum_type
from models.ids import new_id
from replay.client import Client

CHUNK_BYTES = 8 * 1024 * 1024
OPENING = -1  # the number of the batch that came with the request that opened a recording
BATCH_NUMBERS = Sequence("batch_number", metadata=SQLModel.metadata, data_type=BigInteger)


class Status(StrEnum):
    """Where a recording is on its way."""

    UPLOADING = "uploading"  # accepted; no job has begun, or more is expected from the client
    PROCESSING = "processing"  # jobs are at work, or waiting for their next attempt
    READY = "ready"  # terminal: everything that was owed to it is done
    FAILED = "failed"  # terminal: a job gave up; `failure_*` say why


class Source(StrEnum):
    """Which of the three APIs brought a recording."""

    UPLOAD = "upload"
    REPLAY = "replay"
    STREAM = "stream"


class FailureCode(StrEnum):
    """Why a recording failed: stable names that clients may rely on."""

    NO_VALID_EVENTS = "no_valid_events"
    PAYLOAD_UNREADABLE = "payload_unreadable"
    VIDEO_MISSING = "video_missing"
    VIDEO_UNREADABLE = "video_unreadable"
    VIDEO_TOO_LARGE = "video_too_large"
    STORAGE_UNAVAILABLE = "storage_unavailable"
    PROCESSING_FAILED = "processing_failed"
    WORKER_LOST = "worker_lost"
    ROWS_FAILED = "rows_failed"


class Recording(SQLModel, table=True):
    """One capture of one browser session. Durations in ms, sizes in bytes, times in UTC."""

    __tablename__ = "recording"
    __table_args__ = (
        Index(
            "ix_recording_tenant_newest",
            "tenant_id",
            text("id DESC"),
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "ix_recording_project_newest",
            "tenant_id",
            "project_id",
            text("id DESC"),
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "ix_recording_session", "tenant_id", "session_id", postgresql_where=text("session_id IS NOT NULL")
        ),
        Index(
            "ix_recording_fingerprint",
            "tenant_id",
            "fingerprint",
            postgresql_where=text("fingerprint IS NOT NULL"),
        ),
        Index(
            "uq_recording_open_session",
            "project_id",
            "session_id",
            unique=True,
            postgresql_where=text("is_open AND source = 'stream'"),
        ),
        Index("ix_recording_failed", "failure_at", postgresql_where=text("status = 'failed'")),
        Index(
            "ix_recording_tenant_failed",
            "tenant_id",
            "id",
            postgresql_where=text("status = 'failed' AND deleted_at IS NULL"),
        ),
        Index("ix_recording_user", "tenant_id", "user_id", "id"),
        # Covers what `models.conservation` counts: it looks at no row.
        Index("ix_recording_created_at", "created_at", postgresql_include=["status", "deleted_at"]),
        Index("ix_recording_deleted", "tenant_id", "id", postgresql_where=text("deleted_at IS NOT NULL")),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID = Field(foreign_key="tenant.id")
    project_id: UUID = Field(foreign_key="project.id")
    user_id: UUID = Field(foreign_key="user_account.id")
    api_key_id: UUID | None = Field(default=None, foreign_key="api_key.id")
    source: Source = Field(sa_type=enum_type(Source))
    status: Status = Field(default=Status.UPLOADING, sa_type=enum_type(Status))
    name: str | None = None
    started_at: datetime
    ended_at: datetime | None = None
    duration_ms: int | None = Field(default=None, sa_type=BigInteger)
    event_count: int | None = Field(default=None, sa_type=BigInteger)
    has_video: bool = False
    has_audio: bool = False
    navigations: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)
    session_id: str | None = None
    fingerprint: str | None = None
    continues: UUID | None = Field(
        default=None, description="the recording of the same session that was closed before this one"
    )
    is_open: bool = Field(
        default=False,
        description="takes more batches (`models.live`)",
        sa_column_kwargs={"server_default": text("false")},
    )

    failure_code: FailureCode | None = Field(default=None, sa_type=enum_type(FailureCode))
    failure_message: str | None = None
    failure_at: datetime | None = None

    tape_name: str | None = Field(
        default=None, description="the live tape; null until `process` has committed one"
    )
    sidecar_name: str | None = None
    rows_tape_name: str | None = Field(
        default=None, description="the tape that its rows are of: they count while that is the live one"
    )
    playable: bool | None = None
    account: dict[str, Any] | None = Field(default=None, sa_type=JSONB, description="the API's `events`")
    summary: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    warnings: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)
    masked: dict[str, int] = Field(default_factory=dict, sa_type=JSONB)
    upload_name: str | None = Field(default=None, description="where a client may put, or has put, the video")
    upload_generation: str | None = Field(
        default=None, description="which upload was confirmed; null while the video is awaited"
    )
    video_name: str | None = Field(default=None, description="the live video; null until it is verified")
    video: dict[str, Any] | None = Field(
        default=None, sa_type=JSONB, description="what `verify_video` found out about it"
    )

    created_at: datetime = Field(default=None, sa_column_kwargs={"server_default": text("now()")})
    updated_at: datetime = Field(default=None, sa_column_kwargs={"server_default": text("now()")})
    deleted_at: datetime | None = None
    held_at: datetime | None = Field(
        default=None, description="since when nothing may delete it; null: it is not on hold"
    )


class Payload(SQLModel, table=True):
    """What the client sent: each batch is one zstd-compressed envelope, cut into chunks of at most CHUNK_BYTES.

    Upload and replay have one batch, 0. Those of an open recording are numbered as `Batch` says. Already compressed, so
    Postgres stores it EXTERNAL.
    """

    __tablename__ = "payload"

    recording_id: UUID = Field(foreign_key="recording.id", primary_key=True)
    batch: int = Field(primary_key=True, sa_type=BigInteger)
    chunk: int = Field(primary_key=True)
    data: bytes


class Batch(SQLModel, table=True):
    """One batch that an open recording was sent. It stays when its payload is gone, so that one that is sent again adds nothing.

    `number` is that of its payload: of a session's batches the order of arrival, in a recording in chunks the `seq`, and
    OPENING is what came with the request that opened it. Sizes are decompressed.
    """

    __tablename__ = "batch"
    __table_args__ = (Index("uq_batch_digest", "recording_id", "digest", unique=True),)

    recording_id: UUID = Field(foreign_key="recording.id", primary_key=True)
    number: int = Field(primary_key=True, sa_type=BigInteger)
    digest: bytes
    size: int = Field(sa_type=BigInteger)
    total: int = Field(
        sa_type=BigInteger,
        description="sizes up to this one; those that come at the same moment do not count each other",
    )
    received_at: datetime = Field(
        default=None, sa_column_kwargs={"server_default": text("clock_timestamp()")}
    )


def _told(comment: str, **options: Any) -> Any:
    """A column that may be null, with what it holds as its comment."""
    return Field(default=None, sa_column_kwargs={"comment": comment}, **options)


class Replay(SQLModel, table=True):
    """A recording that has rows (models.rows), or came as a complete session: then with its page and `replay.client.Client`.

    What is null until there are rows is written by `relate`. Timestamps are Unix milliseconds, null without any event.
    """

    __tablename__ = "replay"
    __table_args__ = (
        Index("ix_replay_tenant_id", "tenant_id", "project_id", "first_timestamp"),
        {
            "comment": "A recording that has rows, or came as a complete session: what it was recorded with, and when."
        },
    )

    replay_id: UUID = Field(
        foreign_key="recording.id", primary_key=True, sa_column_kwargs={"comment": "the recording's id"}
    )
    html_hash: str | None = _told(
        "64 lower-case hex digits: the page that was recorded; of complete sessions"
    )
    browser_name: str | None = _told("as the client says, else its User-Agent")
    browser_version: str | None = _told("of the browser")
    os_name: str | None = _told("the operating system: as the client says, else its User-Agent")
    os_version: str | None = _told("of the operating system")
    device_type: str | None = _told("desktop, mobile, tablet, …")
    viewport_width: int | None = _told("CSS px, of the window at first")
    viewport_height: int | None = _told("CSS px")
    ip: str | None = _told("the client's address, as its project's policy leaves it")
    tenant_id: UUID | None = _told("whose it is; null until there are rows, as all that follows")
    project_id: UUID | None = _told("the project of the tenant")
    first_timestamp: float | None = _told("of its first event: ms since 1970")
    last_timestamp: float | None = _told("of its last event: ms since 1970")
    event_count: int | None = _told("rows of event", sa_type=BigInteger)
    related_at: datetime | None = _told("when the rows were made")

    @property
    def client(self) -> Client:
        """What it was recorded with."""
        return Client(**{name: getattr(self, name) for name in Client.__struct_fields__})


class MaskRequest(SQLModel, table=True):
    """What is to be masked in a recording after the fact: `rules` are `replay.privacy.Rules`. Gone once it is done."""

    __tablename__ = "mask_request"

    id: UUID = Field(default_factory=new_id, primary_key=True)
    recording_id: UUID = Field(foreign_key="recording.id", index=True)
    rules: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    created_at: datetime = Field(default=None, sa_column_kwargs={"server_default": text("now()")})


class Tape(SQLModel, table=True):
    """The index of a recording's live tape (replay.tape.Index.encode), by which reads find their byte ranges."""

    __tablename__ = "tape"

    recording_id: UUID = Field(foreign_key="recording.id", primary_key=True)
    name: str
    index: bytes


class IdempotencyKey(SQLModel, table=True):
    """The first answer to an Idempotency-Key. No foreign key to the recording: it outlives deletion, not erasure."""

    __tablename__ = "idempotency_key"
    __table_args__ = (
        Index("ix_idempotency_key_created_at", "created_at"),
        Index("ix_idempotency_key_recording_id", "recording_id"),
    )

    project_id: UUID = Field(primary_key=True)
    key: str = Field(primary_key=True)
    body_hash: bytes
    recording_id: UUID
    created_at: datetime = Field(default=None, sa_column_kwargs={"server_default": text("now()")})


class Tally(SQLModel, table=True):
    """How many recordings of an hour were purged, by the status they had: the sums stay right when rows go."""

    __tablename__ = "tally"

    hour: datetime = Field(primary_key=True)
    tenant_id: UUID = Field(primary_key=True)
    status: Status = Field(primary_key=True, sa_type=enum_type(Status))
    purged: int = Field(default=0, sa_type=BigInteger)


def hour_of(recording: Recording) -> datetime:
    """The hour under which a recording is tallied: that in which it was accepted."""
    return recording.created_at.replace(minute=0, second=0, microsecond=0)
