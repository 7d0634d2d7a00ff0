"""Answers: why a job is not running, in one sentence that is true now.

Facts are gathered by one statement, so that they belong to one moment; the sentence is a pure decision over them. It names
the first thing that holds the job back, in the order in which dispatcher and worker meet them. What Postgres cannot know
(whether a message is in Redis, whether Redis is there) it does not claim: it says what is known, and what happens next.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from models.breakers import AWAY
from models.db import Database
from models.job import JobState
from models.processes import GONE_S


@dataclass(frozen=True)
class Facts:
    """What decides about one job, as it was `now`. Of a job that is over, or runs, most of it does not matter."""

    state: JobState
    kind: str
    now: datetime
    due_at: datetime
    ring_at: datetime | None = None
    finished_at: datetime | None = None
    claimed_at: datetime | None = None
    lease_until: datetime | None = None
    worker: str | None = None
    attempts: int = 0
    outages: int = 0
    error_code: str | None = None
    deleted: bool = False
    paused_at: datetime | None = None
    paused_by: str | None = None
    away: str | None = None
    running: int = 0
    running_max: int = 0
    tenant_running: int = 0
    tenant_running_max: int = 0
    workers: int = 0
    draining: int = 0
    dispatchers: int = 0
    redis_away: bool = False


_FACTS = text(
    f"""
    SELECT job.state, job.kind, clock_timestamp() AS now, job.due_at, job.ring_at, job.finished_at, job.claimed_at,
           job.lease_until, job.worker, job.attempts, job.outages, job.error_code,
           EXISTS (SELECT FROM recording WHERE recording.id = job.recording_id AND deleted_at IS NOT NULL)
               AND job.kind <> 'purge' AS deleted,
           queue.paused_at, queue.paused_by,
           CASE WHEN {AWAY.format(kind="job.kind")} THEN (
               SELECT min(dependency) FROM breaker WHERE state = 'open' AND held_until > now()
           ) END AS away,
           (SELECT count(*) FROM job AS other WHERE other.state = 'running' AND other.kind = job.kind) AS running,
           coalesce(queue.running_max, 0) AS running_max,
           (SELECT count(*) FROM job AS other WHERE other.state = 'running' AND other.kind = job.kind
               AND other.tenant_id = job.tenant_id) AS tenant_running,
           coalesce(queue.tenant_running_max, :tenant_running_max) AS tenant_running_max,
           present.workers, present.draining, present.dispatchers
    FROM (
        SELECT id, state, kind, tenant_id, recording_id, due_at, ring_at, finished_at, claimed_at, lease_until, worker,
               attempts, outages, error_code FROM job WHERE id = :id
        UNION ALL
        SELECT id, state, kind, tenant_id, recording_id, due_at, ring_at, finished_at, claimed_at, lease_until, worker,
               attempts, outages, error_code FROM job_history WHERE id = :id
    ) AS job
    LEFT JOIN queue ON queue.kind = job.kind
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE job.kind = ANY(kinds) AND draining_at IS NULL) AS workers,
               count(*) FILTER (WHERE job.kind = ANY(kinds) AND draining_at IS NOT NULL) AS draining,
               count(*) FILTER (WHERE role = 'dispatcher') AS dispatchers
        FROM process WHERE heartbeat_at > now() - make_interval(secs => :gone_s)
    ) AS present
    LIMIT 1
    """  # noqa: S608  # constants only
)


async def facts(
    db: Database, job_id: UUID, *, tenant_running_max: int = 0, redis_away: bool = False
) -> Facts | None:
    """What decides about a job; None when there is none. `tenant_running_max` is the deck's, of queues without their own;
    `redis_away` is what the caller found out about that."""
    values: dict[str, Any] = {
        "id": job_id,
        "tenant_running_max": tenant_running_max,
        "gone_s": GONE_S,
    }
    async with db.autocommit() as connection:
        found = (await connection.execute(_FACTS, values)).mappings().one_or_none()
    if found is None:
        return None
    return Facts(**{**found, "state": JobState(found["state"])}, redis_away=redis_away)


def why_not_running(facts: Facts) -> str:
    """One sentence, for people."""
    if facts.state is not JobState.DUE:
        return _not_due(facts)
    if facts.deleted:
        return "Its recording was deleted: nobody begins it."
    if facts.due_at > facts.now:
        return _later(facts)
    if facts.paused_at is not None:
        return (
            f"The queue {facts.kind} was paused by {facts.paused_by or 'somebody'} at {_at(facts.paused_at)}."
        )
    if not facts.dispatchers and (facts.away is not None or not _is_rung_for(facts)):
        return "No dispatcher is there: nobody rings for it."
    if facts.away is not None:
        return f"What it needs is away ({facts.away}): it waits until a probe reaches that again."
    if not facts.workers:
        if facts.draining:
            return f"No worker takes new jobs of the queue {facts.kind}: {facts.draining} of them, all drain."
        return f"No worker is there for the queue {facts.kind}."
    if 0 < facts.running_max <= facts.running:
        return f"The queue {facts.kind} is at its limit: {facts.running} of {facts.running_max} run."
    if 0 < facts.tenant_running_max <= facts.tenant_running:
        most = facts.tenant_running_max
        return f"Its tenant is at its limit on the queue {facts.kind}: {facts.tenant_running} of {most} run."
    return _waits_for_a_ring(facts)


def _not_due(facts: Facts) -> str:
    match facts.state:
        case JobState.RUNNING if facts.lease_until and facts.lease_until <= facts.now:
            held = f"It was held by {facts.worker} until {_at(facts.lease_until)}"
            if not facts.dispatchers:
                return f"{held}, and is lost: no dispatcher is there to take it back."
            return f"{held}, and is about to be taken back as lost."
        case JobState.RUNNING:
            return f"It is running: held by {facts.worker} until {_at(facts.lease_until)}, and longer if that goes on."
        case JobState.DEAD:
            why = f" of {facts.error_code}" if facts.error_code else ""
            return f"It died{why} at {_at(facts.finished_at)}: nothing happens until somebody retries it."
        case JobState.DONE:
            return f"It is done since {_at(facts.finished_at)}."
        case _:
            return f"It was cancelled at {_at(facts.finished_at)}."


def _later(facts: Facts) -> str:
    until = _at(facts.due_at)
    if facts.outages:
        return f"What it needs was away, {facts.outages} times in a row: it is tried again at {until}."
    if facts.attempts or facts.error_code:
        return f"It failed ({facts.error_code or 'error'}) and waits for a retry until {until}."
    return f"Its time has not come: it is due at {until}."


def _waits_for_a_ring(facts: Facts) -> str:
    if facts.redis_away:
        return (
            f"Redis is away, through which workers are rung for: it is due since {_at(facts.due_at)}, waits here, and "
            "nothing is lost."
        )
    if facts.ring_at is None or facts.ring_at <= facts.due_at:
        return f"It is due since {_at(facts.due_at)} and waits for its turn: the dispatcher has not rung for it yet."
    if facts.ring_at > facts.now:
        rung = "It was rung for and no worker has taken it yet"
        if not facts.dispatchers:
            return f"{rung}; no dispatcher is there to ring for it again."
        return f"{rung}; it is rung for again at {_at(facts.ring_at)}."
    return (
        f"It was rung for, nobody came by {_at(facts.ring_at)}, and it is to be rung for again: the dispatcher has not "
        "done so yet."
    )


def _is_rung_for(facts: Facts) -> bool:
    """Whether a message for it may be on its way to a worker, so that it needs no dispatcher now."""
    return facts.ring_at is not None and facts.ring_at > max(facts.due_at, facts.now)


def _at(moment: datetime | None) -> str:
    return "an unknown time" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}Z"
