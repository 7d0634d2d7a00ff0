"""How the models become what the operators' API answers with."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from app.documents import timestamp
from app.ops_documents import (
    ActionDocument,
    ActionPreview,
    AttemptDocument,
    AuditDocument,
    BrokenHourDocument,
    Conservation,
    DayDocument,
    FailureGroup,
    HourDocument,
    JobDocument,
    LifeDocument,
    MomentDocument,
    Overview,
    ProcessDocument,
    QueueDocument,
    WorkerDocument,
)
from app.ops_state_answers import breaker_of, dependency_of, redis_of, verdict_of
from app.sight import Sight
from app.verdict import verdict
from models.action import Action, AuditEntry
from models.attempt import Attempt
from models.conservation import COUNTS, BrokenHour, Conserved, Sums
from models.figures import Figures
from models.filters import COUNTED_MAX, Preview
from models.job import JobFields, JobState
from models.lives import Group, Life
from models.overview import Seen
from models.processes import Process, Role, is_gone

D = TypeVar("D", WorkerDocument, ProcessDocument)


def overview_of(seen: Seen, counted: Figures, sight: Sight) -> Overview:
    """The deck as operators see it: what runs now, and how many jobs there were when they were counted."""
    counts = {(one.kind, one.state): one for one in counted.jobs}
    rows = []
    for queue in seen.queues:
        kind = queue.kind.value
        due, scheduled, dead = [counts.get((kind, state)) for state in ("due", "scheduled", "dead")]
        since = due.due_since if due else None
        rows.append(
            QueueDocument(
                kind=kind,
                due=due.count if due else 0,
                scheduled=scheduled.count if scheduled else 0,
                running=seen.running.get(queue.kind, 0),
                dead=dead.count if dead else 0,
                oldest_due_at=moment(since),
                oldest_due_s=round((counted.at - since).total_seconds(), 3) if since else None,
                paused_at=moment(queue.paused_at),
                paused_by=queue.paused_by,
                running_max=queue.running_max,
                tenant_running_max=queue.tenant_running_max,
                retrying=scheduled.retrying if scheduled else 0,
            )
        )
    away = [breaker_of(one) for one in seen.breakers]
    return Overview(
        at=timestamp(seen.now),
        counted_at=timestamp(counted.at),
        queues=rows,
        breakers=away,
        workers=len(seen.present(Role.WORKER)),
        dispatchers=len(seen.present(Role.DISPATCHER)),
        redis="away" if sight.redis is None else "there",
        verdict=verdict_of(verdict(sight)),
        dependencies=[dependency_of(name, answer, away) for name, answer in sight.answers.items()],
        redis_state=None if sight.redis is None else redis_of(sight.redis),
    )


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


def conservation_of(found: Conserved) -> Conservation:
    """Where the recordings are of hours and days, and what does not add up."""
    return Conservation(
        [_hour_of(one) for one in found.hours],
        [_day_of(one) for one in found.days],
        [_broken_of(one) for one in found.broken],
    )


def _hour_of(sums: Sums) -> HourDocument:
    counts = {name: getattr(sums, name) for name in COUNTS}
    return HourDocument(hour=timestamp(sums.since), missing=sums.missing, **counts)


def _day_of(sums: Sums) -> DayDocument:
    counts = {name: getattr(sums, name) for name in COUNTS}
    return DayDocument(day=f"{sums.since:%Y-%m-%d}", missing=sums.missing, **counts)


def _broken_of(broken: BrokenHour) -> BrokenHourDocument:
    return BrokenHourDocument(
        timestamp(broken.hour), broken.missing, broken.recordings, timestamp(broken.noticed_at)
    )


def worker_of(worker: Process, now: datetime, running: int) -> WorkerDocument:
    """A worker process."""
    return _process_as(WorkerDocument, worker, now, running)


def process_of(process: Process, now: datetime, running: int) -> ProcessDocument:
    """A process of the deck."""
    return _process_as(ProcessDocument, process, now, running)


def _process_as(document: type[D], process: Process, now: datetime, running: int) -> D:
    working = "working" if process.draining_at is None else "draining"
    told: dict[str, Any] = {
        "running": running,
        "state": "gone" if is_gone(process, now) else working,
        "started_at": timestamp(process.started_at),
        "heartbeat_at": timestamp(process.heartbeat_at),
    }
    names = set(document.__struct_fields__) - set(told)
    return document(**told | {name: getattr(process, name) for name in names})


def page_of(found: Sequence[Any], limit: int) -> tuple[Sequence[Any], UUID | None]:
    """A page of what was found, and where the next one begins; one more than `limit` says that there is one."""
    page = found[:limit]
    return page, page[-1].id if len(found) > limit else None


def moment(at: datetime | None) -> str | None:
    """A time, or null."""
    return None if at is None else timestamp(at)


def _ms(start: datetime, end: datetime | None) -> int | None:
    return None if end is None else round((end - start).total_seconds() * 1000)
