"""Jobs: each is one step owed to a recording, a row in Postgres. Only `models.ledger` changes a row."""

from datetime import datetime
from enum import IntEnum, StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, SmallInteger, text
from sqlmodel import Field, SQLModel

from models.columns import enum_type
from models.ids import new_id
from models.object import ObjectKind


class JobKind(StrEnum):
    """The steps there are; also the name of the queue and of the actor that runs them."""

    PROCESS = "process"
    VIDEO_DEADLINE = "video_deadline"
    VERIFY_VIDEO = "verify_video"
    PURGE = "purge"
    MASK = "mask"
    RELATE = "relate"
    CLOSE = "close"


class JobState(StrEnum):
    """Where a job is.

    due ──claim──▶ running ──finish──▶ done
     ▲                │
     ├──try again─────┤
     └──revive── dead ◀┘        due, running, dead ──cancel──▶ cancelled
    """

    DUE = "due"  # waits for its time, a ring and a claim
    RUNNING = "running"  # claimed; `claim_id` and `lease_until` say by whom and how long
    DEAD = "dead"  # gave up; `error_code` and `error` say why
    DONE = "done"  # in history only
    CANCELLED = "cancelled"  # in history only: its recording was deleted, or what it was for has come or gone


class Priority(IntEnum):
    """Which of the due jobs of a kind are rung for first, in this order; each in a window of its own size."""

    AWAITED = 0
    IN_BULK = 10  # asked for by thousands, while others wait for one


LIVE = frozenset({JobState.DUE, JobState.RUNNING})

IMMORTAL = frozenset({JobKind.VIDEO_DEADLINE, JobKind.PURGE, JobKind.CLOSE})
"""Kinds that never die: they are tried again, with capped backoff, until they succeed."""

BESIDE = frozenset({JobKind.MASK})
"""Kinds whose death fails no recording: it is as good as it was before them. So it is with `relate`, but for replays."""

PUTS: dict[JobKind, tuple[ObjectKind, ...]] = {
    JobKind.PROCESS: (ObjectKind.TAPE, ObjectKind.SIDECAR),
    JobKind.VIDEO_DEADLINE: (),
    JobKind.VERIFY_VIDEO: (ObjectKind.VIDEO,),
    JobKind.PURGE: (),
    JobKind.MASK: (ObjectKind.TAPE, ObjectKind.SIDECAR),
    JobKind.RELATE: (),
    JobKind.CLOSE: (),
}
"""The objects that a job of each kind will put: their rows are written with the claim."""


READY = "state = 'due' AND ring_at IS NULL"
WAITS = "state = 'due' AND ring_at IS NOT NULL"
AT_WORK = "state = 'running' OR (state = 'due' AND ring_at > due_at)"
"""SQL, each with an index: what to ring for; what waits for a time, and then is ready; what was rung for, or runs."""


class JobFields(SQLModel):
    """What is known of a job, live or over.

    `outage_since` is when what it needs went away. `ring_at`, of one that is due: nobody rings for it before that. It is
    null when there is nothing to wait for, `due_at` itself while its time has not come, and later once it was rung for.
    """

    id: UUID = Field(default_factory=new_id, primary_key=True)
    kind: JobKind = Field(sa_type=enum_type(JobKind))
    state: JobState = Field(
        default=JobState.DUE, sa_type=enum_type(JobState), sa_column_kwargs={"server_default": "due"}
    )
    tenant_id: UUID
    recording_id: UUID
    priority: int = Field(
        default=Priority.AWAITED, sa_type=SmallInteger, sa_column_kwargs={"server_default": "0"}
    )
    claims: int = Field(
        default=0,
        description="how often it was claimed: the number of its newest attempt",
        sa_column_kwargs={"server_default": "0"},
    )
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    losses: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    outages: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    outage_since: datetime | None = None
    claim_id: UUID | None = None
    lease_until: datetime | None = None
    claimed_at: datetime | None = None
    worker: str | None = None
    error_code: str | None = None
    error: str | None = None
    due_at: datetime = Field(default=None, sa_column_kwargs={"server_default": text("now()")})
    ring_at: datetime | None = None
    created_at: datetime = Field(default=None, sa_column_kwargs={"server_default": text("now()")})
    finished_at: datetime | None = None
    trace: str | None = Field(default=None, description="the traceparent of what owed it (`models.trace`)")


class Job(JobFields, table=True):
    """A job that is due, running or dead."""

    __tablename__ = "job"
    __table_args__ = (
        Index("ix_job_ready", "kind", "priority", "tenant_id", "due_at", postgresql_where=text(READY)),
        Index("ix_job_ready_longest", "due_at", "tenant_id", postgresql_where=text(READY)),
        Index("ix_job_waits", "ring_at", postgresql_where=text(WAITS)),
        Index("ix_job_at_work", "kind", "tenant_id", postgresql_where=text(AT_WORK)),
        Index("ix_job_lease", "lease_until", postgresql_where=text("state = 'running'")),
        Index(
            "uq_job_live",
            "recording_id",
            "kind",
            unique=True,
            postgresql_where=text("state IN ('due', 'running')"),
        ),
        Index("ix_job_recording_id", "recording_id"),
        Index("ix_job_whose", "kind", "tenant_id", "id"),
        Index("ix_job_dead", "id", postgresql_where=text("state = 'dead'")),
        Index("ix_job_dead_whose", "tenant_id", "kind", "id", postgresql_where=text("state = 'dead'")),
        Index("ix_job_error_code", "error_code", "id", postgresql_where=text("error_code IS NOT NULL")),
        Index("ix_job_error", "id", postgresql_where=text("error IS NOT NULL")),
        CheckConstraint(f"priority IN ({', '.join(str(int(each)) for each in Priority)})", name="priority"),
    )


class FinishedJob(JobFields, table=True):
    """A job that is over: out of the way of the live ones, pruned after some days."""

    __tablename__ = "job_history"
    __table_args__ = (
        Index("ix_job_history_finished_at", "finished_at"),
        Index("ix_job_history_recording_id", "recording_id"),
        Index("ix_job_history_error", "id", postgresql_where=text("error IS NOT NULL")),
    )
