"""What the operators' API answers with."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from app.documents import Timestamp, timestamp
from models.action import Action, AuditEntry
from models.attempt import Attempt
from models.filters import COUNTED_MAX, Preview
from models.job import JobFields, JobState
from models.lives import Group, Life
from models.overview import Load, Seen
from models.workers import GONE_S, Worker


class QueueDocument(msgspec.Struct):
    """A queue: jobs that are due, wait for their time (`scheduled`), run, and died; who has paused it."""

    kind: str
    due: int
    scheduled: int
    running: int
    dead: int
    oldest_due_at: Timestamp | None
    oldest_due_s: float | None
    paused_at: Timestamp | None
    paused_by: str | None
    running_max: int | None
    tenant_running_max: int | None


class BreakerDocument(msgspec.Struct):
    """Something that jobs need: `open` while it is away."""

    dependency: str
    state: str
    reason: str | None
    opened_at: Timestamp | None


class Overview(msgspec.Struct):
    """The deck at a glance."""

    at: Timestamp
    queues: list[QueueDocument]
    breakers: list[BreakerDocument]
    workers: int
    redis: Literal["there", "away"]


class JobDocument(msgspec.Struct):
    """A job. `state`: one that is due is `scheduled` while its time has not come."""

    id: UUID
    kind: str
    state: str
    tenant_id: UUID
    recording_id: UUID
    claims: int
    attempts: int
    losses: int
    outages: int
    worker: str | None
    lease_until: Timestamp | None
    due_at: Timestamp
    error_code: str | None
    created_at: Timestamp
    finished_at: Timestamp | None


class JobList(msgspec.Struct):
    """A page of jobs, the newest first."""

    jobs: list[JobDocument]
    next_cursor: UUID | None


class AttemptDocument(msgspec.Struct):
    """An attempt; `outcome` and `ended_at` are null while it goes on."""

    number: int
    worker: str | None
    started_at: Timestamp
    ended_at: Timestamp | None
    duration_ms: int | None
    outcome: str | None
    error_code: str | None
    error: str | None
    traceback: str | None
    place: str | None
    fingerprint: str | None


class JobDetail(msgspec.Struct):
    """A job, why it is not running, and its newest attempts, the newest first."""

    job: JobDocument
    why: str
    error: str | None
    attempts: list[AttemptDocument]


class MomentDocument(msgspec.Struct):
    """Something in a recording's life: a `status` that it got, a `job`, an `attempt`, an `object`."""

    at: Timestamp
    to: Timestamp | None
    duration_ms: int | None
    what: str
    id: str
    name: str
    state: str
    detail: str | None


class LifeDocument(msgspec.Struct):
    """A recording's life in its order; `more`: the rest is left out."""

    id: UUID
    tenant_id: UUID
    status: str
    deleted_at: Timestamp | None
    moments: list[MomentDocument]
    more: bool


class FailureGroup(msgspec.Struct):
    """Attempts that failed alike, with the newest of them."""

    fingerprint: str
    kind: str
    error_code: str | None
    place: str | None
    attempts: int
    jobs: int
    recordings: int
    tenants: int
    first_at: Timestamp
    last_at: Timestamp
    sample: str | None
    traceback: str | None
    sample_job: UUID


class FailureGroups(msgspec.Struct):
    """Ways of failing, the most frequent first."""

    failures: list[FailureGroup]


class ActionDocument(msgspec.Struct):
    """An action: `done` of those that `matched` when it was asked for; `skipped` did not match any more, or could not."""

    id: UUID
    who: str
    verb: str
    filter: dict[str, Any]
    state: str
    reason: str | None
    matched: int
    done: int
    skipped: int
    created_at: Timestamp
    finished_at: Timestamp | None


class ActionList(msgspec.Struct):
    """A page of actions, the newest first."""

    actions: list[ActionDocument]
    next_cursor: UUID | None


class ActionPreview(msgspec.Struct):
    """What an action would be about now. `at_least`: there are more than were counted."""

    dry_run: Literal[True]
    matched: int
    at_least: bool
    sample: list[UUID]
    oldest_at: Timestamp | None


class AuditDocument(msgspec.Struct):
    """Something that an operator did."""

    id: UUID
    at: Timestamp
    who: str
    what: str
    subject: str
    count: int | None
    details: dict[str, Any]


class AuditList(msgspec.Struct):
    """A page of the audit log, the newest first."""

    entries: list[AuditDocument]
    next_cursor: UUID | None


class WorkerDocument(msgspec.Struct):
    """A worker process; `gone`: it has not been heard of for a while."""

    id: UUID
    name: str
    version: str
    kinds: list[str]
    threads: int
    running: int
    state: Literal["working", "draining", "gone"]
    started_at: Timestamp
    heartbeat_at: Timestamp
    draining_by: str | None


class WorkerList(msgspec.Struct):
    """The worker processes, the oldest first."""

    workers: list[WorkerDocument]


class Changed(msgspec.Struct):
    """Whether it changed anything: false when it was so already. `count`: how many."""

    changed: bool
    count: int


def overview_of(seen: Seen, *, redis_away: bool) -> Overview:
    """The deck as operators see it."""
    rows = []
    for queue in seen.queues:
        load = seen.loads.get(queue.kind, Load())
        waits = load.oldest_due_at
        rows.append(
            QueueDocument(
                kind=queue.kind.value,
                due=load.due,
                scheduled=load.scheduled,
                running=load.running,
                dead=load.dead,
                oldest_due_at=moment(waits),
                oldest_due_s=round((seen.now - waits).total_seconds(), 3) if waits else None,
                paused_at=moment(queue.paused_at),
                paused_by=queue.paused_by,
                running_max=queue.running_max,
                tenant_running_max=queue.tenant_running_max,
            )
        )
    away = [
        BreakerDocument(one.dependency.value, one.state.value, one.reason, moment(one.opened_at))
        for one in seen.breakers
    ]
    alive = sum(not _is_gone(worker, seen.now) for worker in seen.workers)
    return Overview(timestamp(seen.now), rows, away, alive, "away" if redis_away else "there")


def job_of(job: JobFields, now: datetime) -> JobDocument:
    """A job as operators see it."""
    names = ("id", "tenant_id", "recording_id", "claims", "attempts", "losses", "outages", "worker")
    later = job.state is JobState.DUE and job.due_at > now
    return JobDocument(
        kind=job.kind.value,
        state="scheduled" if later else job.state.value,
        lease_until=moment(job.lease_until),
        due_at=timestamp(job.due_at),
        error_code=job.error_code,
        created_at=timestamp(job.created_at),
        finished_at=moment(job.finished_at),
        **{name: getattr(job, name) for name in names},
    )


def attempt_of(attempt: Attempt) -> AttemptDocument:
    """An attempt as operators see it."""
    names = ("number", "worker", "error_code", "error", "traceback", "place", "fingerprint")
    return AttemptDocument(
        started_at=timestamp(attempt.started_at),
        ended_at=moment(attempt.ended_at),
        duration_ms=_ms(attempt.started_at, attempt.ended_at),
        outcome=attempt.outcome and attempt.outcome.value,
        **{name: getattr(attempt, name) for name in names},
    )


def life_of(recording_id: UUID, life: Life) -> LifeDocument:
    """A recording's life."""
    moments = [
        MomentDocument(
            at=timestamp(one.at),
            to=moment(one.to),
            duration_ms=_ms(one.at, one.to),
            what=one.what,
            id=one.id,
            name=one.name,
            state=one.state,
            detail=one.detail,
        )
        for one in life.moments
    ]
    return LifeDocument(
        recording_id, life.tenant_id, life.status, moment(life.deleted_at), moments, life.more
    )


def group_of(group: Group) -> FailureGroup:
    """Ways of failing."""
    times = {name: timestamp(getattr(group, name)) for name in ("first_at", "last_at")}
    return FailureGroup(**group._asdict() | times)


def action_of(action: Action) -> ActionDocument:
    """An action and how far it is."""
    names = ("id", "who", "filter", "reason", "matched", "done", "skipped")
    return ActionDocument(
        verb=action.verb.value,
        state=action.state.value,
        created_at=timestamp(action.created_at),
        finished_at=moment(action.finished_at),
        **{name: getattr(action, name) for name in names},
    )


def preview_of(seen: Preview) -> ActionPreview:
    """What an action would be about."""
    at_least = seen.matched >= COUNTED_MAX
    return ActionPreview(True, seen.matched, at_least, list(seen.sample), moment(seen.oldest_at))


def audit_of(entry: AuditEntry) -> AuditDocument:
    """A line of the audit log."""
    names = ("id", "who", "what", "subject", "count", "details")
    return AuditDocument(at=timestamp(entry.at), **{name: getattr(entry, name) for name in names})


def worker_of(worker: Worker, now: datetime, running: int) -> WorkerDocument:
    """A worker process."""
    names = ("id", "name", "version", "kinds", "threads", "draining_by")
    working: Literal["working", "draining"] = "working" if worker.draining_at is None else "draining"
    return WorkerDocument(
        running=running,
        state="gone" if _is_gone(worker, now) else working,
        started_at=timestamp(worker.started_at),
        heartbeat_at=timestamp(worker.heartbeat_at),
        **{name: getattr(worker, name) for name in names},
    )


def page_of(found: Sequence[Any], limit: int) -> tuple[Sequence[Any], UUID | None]:
    """A page of what was found, and where the next one begins; one more than `limit` says that there is one."""
    page = found[:limit]
    return page, page[-1].id if len(found) > limit else None


def moment(at: datetime | None) -> str | None:
    """A time, or null."""
    return None if at is None else timestamp(at)


def _ms(start: datetime, end: datetime | None) -> int | None:
    return None if end is None else round((end - start).total_seconds() * 1000)


def _is_gone(worker: Worker, now: datetime) -> bool:
    return (now - worker.heartbeat_at).total_seconds() > GONE_S
