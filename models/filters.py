"""Which jobs: typed conditions that operators give, never SQL. Across tenants.

What may take long is bounded (`models.lives.bounded`).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import BigInteger, ColumnElement, Uuid, cast, exists, extract, func, select
from sqlmodel import col

from models.attempt import Attempt
from models.db import Database
from models.ids import CLOCKS_DIFFER
from models.job import FinishedJob, Job, JobFields, JobKind, JobState
from models.lives import bounded

COUNTED_MAX = 10_000
SAMPLE = 10
SELECTION_MAX = 1000
TEXT_CHARS = 200
TEXT = r"^[^\x00]*$"  # Postgres has no NUL


class Wanted(StrEnum):
    """States as operators name them: a job that is due is `due` or, until its time has come, `scheduled`."""

    DUE = "due"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    DEAD = "dead"
    DONE = "done"
    CANCELLED = "cancelled"


OVER = frozenset({Wanted.DONE, Wanted.CANCELLED})


class JobFilter(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """All of these; null: any. `fingerprint` is that of the newest attempt; `older_than_s` counts since it was made. `error` is
    contained in the newest error, in upper or lower case; `worker` is the name of the process that runs it, or, if it is over, ran it."""

    kind: JobKind | None = None
    state: Wanted | None = None
    tenant_id: UUID | None = None
    recording_id: UUID | None = None
    error_code: Annotated[str, Meta(max_length=64, pattern="^[a-z_]+$")] | None = None
    fingerprint: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")] | None = None
    older_than_s: Annotated[float, Meta(ge=0, le=1e9)] | None = None
    job_ids: Annotated[list[UUID], Meta(min_length=1, max_length=SELECTION_MAX)] | None = None
    error: Annotated[str, Meta(min_length=1, max_length=TEXT_CHARS, pattern=TEXT)] | None = None
    worker: Annotated[str, Meta(min_length=1, max_length=TEXT_CHARS, pattern=TEXT)] | None = None


class Preview(NamedTuple):
    """What a filter matches now: how many (`COUNTED_MAX` means: or more), the first few, the age of the oldest."""

    matched: int
    sample: Sequence[UUID]
    oldest_at: datetime | None


def conditions(jobs: JobFilter, table: type[Job] | type[FinishedJob] = Job) -> list[ColumnElement[bool]]:
    """The filter as SQL conditions on this table: such that indexes find few of very many jobs."""
    given = {name: getattr(jobs, name) for name in ("kind", "tenant_id", "recording_id", "error_code")}
    found: list[ColumnElement[bool]] = [
        col(getattr(table, name)) == value for name, value in given.items() if value is not None
    ]
    if jobs.tenant_id is not None and jobs.kind is None:
        found.append(col(table.kind).in_(JobKind))  # which says nothing, but begins the index
    if jobs.job_ids is not None:
        found.append(col(table.id).in_(jobs.job_ids))
    if jobs.older_than_s is not None:
        before = func.now() - timedelta(seconds=jobs.older_than_s)
        found.append(col(table.created_at) < before)
        found.append(col(table.id) < _first_id(before + CLOCKS_DIFFER))
    if jobs.state is not None:
        is_due = jobs.state in (Wanted.DUE, Wanted.SCHEDULED)
        found.append(col(table.state) == (JobState.DUE if is_due else JobState(jobs.state.value)))
        if is_due:
            later = jobs.state is Wanted.SCHEDULED
            found.append(is_later(table) if later else col(table.due_at) <= func.statement_timestamp())
    if jobs.error is not None:
        found.append(col(table.error).is_not(None))  # which says nothing, but names the index
        found.append(col(table.error).icontains(jobs.error, autoescape=True))
    if jobs.worker is not None:
        found.append(col(table.worker) == jobs.worker)
        if table is Job:  # of those that are not over, only these have one
            found.append(col(table.state) == JobState.RUNNING)
    if jobs.fingerprint is not None:
        newest = (
            (col(Attempt.job_id) == col(table.id))
            & (col(Attempt.number) == col(table.claims))
            & (col(Attempt.fingerprint) == jobs.fingerprint)
        )
        found.append(exists().where(newest))
    return found


def _first_id(when: ColumnElement[datetime]) -> ColumnElement[UUID]:
    """`models.ids.first_id` in SQL, by the clock of Postgres: where to begin in the index."""
    ms = cast(extract("epoch", when) * 1000, BigInteger)
    return cast(func.rpad(func.lpad(func.to_hex(ms), 12, "0"), 32, "0"), Uuid)


def is_later(table: type[Job] | type[FinishedJob] = Job) -> ColumnElement[bool]:
    """Of a job that is due: its time has not come. Nobody rings for it before that (`ring_at`), which has an index."""
    now = func.statement_timestamp()
    return (col(table.due_at) > now) & (col(table.ring_at) > now)


async def listed(db: Database, jobs: JobFilter, *, limit: int, before: UUID | None) -> Sequence[JobFields]:
    """Up to `limit` jobs, the newest first, made before the job `before`. Raises TooCostly."""
    table: Any = FinishedJob if jobs.state in OVER else Job
    wanted = select(table).where(*conditions(jobs, table)).order_by(col(table.id).desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(col(table.id) < before)
    async with bounded(db) as session:
        return (await session.execute(wanted)).scalars().all()


async def preview(db: Database, jobs: JobFilter, more: Sequence[ColumnElement[bool]] = ()) -> Preview:
    """What the filter matches now. Raises TooCostly."""
    matching = select(col(Job.id), col(Job.created_at)).where(*conditions(jobs), *more)
    some = matching.limit(COUNTED_MAX).subquery()
    async with bounded(db) as session:
        count, oldest = (await session.execute(select(func.count(), func.min(some.c.created_at)))).one()
        sample = (await session.execute(matching.order_by(col(Job.id)).limit(SAMPLE))).scalars().all()
    return Preview(count, sample, oldest)


async def job(db: Database, job_id: UUID) -> JobFields | None:
    """One job, over or not; None when there is none (any more)."""
    async with db.reading() as session:
        return await session.get(Job, job_id) or await session.get(FinishedJob, job_id)


async def attempts(db: Database, job_id: UUID) -> Sequence[Attempt]:
    """What is known of the attempts at a job, the newest first."""
    wanted = select(Attempt).where(col(Attempt.job_id) == job_id).order_by(col(Attempt.number).desc())
    async with db.reading() as session:
        return (await session.execute(wanted)).scalars().all()
