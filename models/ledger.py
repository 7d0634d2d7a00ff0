"""The ledger: every change of a job, and nothing else changes one.

Each change is a compare-and-set: one row changed, or someone else won. Functions take the caller's session, so that a
job's change commits together with what it means for the recording; `models.lifecycle` holds those transactions. Only
Postgres's clock is compared.

A claim is a fencing token: `claim_id` is fresh for each claim, and every later change names it, so that a worker that
was frozen past its lease and thaws can change nothing.
"""

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import CursorResult, TextClause, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlmodel import col

from models import attempt
from models.attempt import Outcome
from models.attempt_tally import COUNT_ENDED
from models.breakers import HELD_BACK_SINCE
from models.db import Database
from models.ids import new_id
from models.job import FinishedJob, Job, JobFields, JobKind, JobState, Priority
from models.recording import FailureCode
from models.retry import Again, Dead, Failure, FailureKind, History, Policy, decide
from models.trace import TRACEPARENT

Session: TypeAlias = AsyncSession | AsyncConnection

FREE_OF_ATTEMPT = frozenset({FailureKind.AWAY, FailureKind.LOSS, FailureKind.STOPPED})
FRESH: dict[str, Any] = {"attempts": 0, "losses": 0, "outages": 0, "outage_since": None}
UNCLAIMED: dict[str, Any] = {"claim_id": None, "lease_until": None, "claimed_at": None, "worker": None}


class ClaimLost(Exception):
    """The claim no longer holds: the lease was taken back, the job cancelled, or the recording deleted."""


@dataclass(frozen=True)
class Claim:
    """A worker's hold on a job. `attempts` counts this one; `losses` are those so far. It was due for `waited_s` seconds."""

    id: UUID
    job_id: UUID
    kind: JobKind
    tenant_id: UUID
    recording_id: UUID
    attempts: int
    losses: int
    waited_s: float = 0
    trace: str | None = None


async def add(
    session: AsyncSession,
    kind: JobKind,
    *,
    tenant_id: UUID,
    recording_id: UUID,
    delay_s: float = 0,
    priority: Priority = Priority.AWAITED,
) -> None:
    """Owe a recording a job, due after `delay_s`. Does nothing when a live one of this kind is there."""
    whose = {"tenant_id": tenant_id, "recording_id": recording_id}
    await session.execute(
        insert(Job)
        .values(
            id=new_id(),
            kind=kind,
            state=JobState.DUE,
            priority=priority,
            trace=TRACEPARENT.get(),
            **_due(delay_s),
            **whose,
        )
        .on_conflict_do_nothing(
            index_elements=["recording_id", "kind"], index_where=text("state IN ('due', 'running')")
        )
    )


async def owe(
    session: AsyncSession,
    kind: JobKind,
    *,
    tenant_id: UUID,
    recording_id: UUID,
    priority: Priority = Priority.AWAITED,
) -> None:
    """As `add`, due now; one that died before is tried again instead."""
    if not await revive(session, recording_id, kind):
        await add(session, kind, tenant_id=tenant_id, recording_id=recording_id, priority=priority)


async def renew(
    connection: AsyncConnection, claim_ids: Collection[UUID], *, lease_s: float, put_deadline_s: float
) -> set[UUID]:
    """Extend the leases of these claims, and the time their pending objects have. Returns those that still hold."""
    statement = text(
        """
        WITH held AS (
            UPDATE job SET lease_until = clock_timestamp() + make_interval(secs => :lease_s)
            WHERE claim_id = ANY(:claim_ids) AND state = 'running'
            RETURNING claim_id
        ), kept AS (
            UPDATE object SET expires_at = clock_timestamp() + make_interval(secs => :object_s)
            FROM held WHERE object.claim_id = held.claim_id AND object.state = 'pending'
        )
        SELECT claim_id FROM held
        """
    )
    values = {"claim_ids": list(claim_ids), "lease_s": lease_s, "object_s": lease_s + put_deadline_s}
    return set((await connection.execute(statement, values)).scalars())


async def check(db: Database, claim: Claim) -> None:
    """Raises ClaimLost unless the lease runs now.

    A put that begins now and ends within its deadline then ends before its object may be swept.
    """
    running = select(col(Job.id)).where(
        col(Job.claim_id) == claim.id,
        col(Job.state) == JobState.RUNNING,
        col(Job.lease_until) > func.clock_timestamp(),
    )
    async with db.autocommit() as connection:
        if (await connection.execute(running)).one_or_none() is None:
            raise ClaimLost


async def hold(session: AsyncSession, claim: Claim) -> None:
    """Lock the claim's job row until the transaction ends. Raises ClaimLost. Lock the recording first."""
    held = select(col(Job.id)).where(col(Job.claim_id) == claim.id, col(Job.state) == JobState.RUNNING)
    if (await session.execute(held.with_for_update())).one_or_none() is None:
        raise ClaimLost


async def finish(session: Session, claim: Claim) -> None:
    """The job is done: the last statement of the transaction that holds its effects. Raises ClaimLost."""
    held = "claim_id = :value AND state = 'running'"
    if await _move_to_history(session, held, claim.id, JobState.DONE) != 1:
        raise ClaimLost


async def continue_later(session: AsyncSession, claim: Claim, *, delay_s: float) -> None:
    """The job did a part of its work and is due again, with fresh budgets. Raises ClaimLost."""
    statement = (
        update(Job)
        .where(col(Job.claim_id) == claim.id, col(Job.state) == JobState.RUNNING)
        .values(state=JobState.DUE, **FRESH, **UNCLAIMED, **_due(delay_s))
    )
    if (await _count(session, statement)) != 1:
        raise ClaimLost
    await attempt.end(session, claim.job_id, Outcome.CONTINUED)


async def settle(
    session: AsyncSession,
    claim_id: UUID,
    failure: Failure,
    policy: Policy,
    *,
    immortal: Collection[JobKind],
    expired_only: bool = False,
) -> tuple[JobKind, Again | Dead] | None:
    """An attempt of a job of some kind ended badly: due again, or dead, unless `immortal` names its kind.

    None when the claim no longer holds. With `expired_only` the lease must be over: that is how the dispatcher takes back
    what a lost worker held.
    """
    is_storage = failure.kind is FailureKind.AWAY and failure.code is FailureCode.STORAGE_UNAVAILABLE
    held_back = [HELD_BACK_SINCE] if is_storage else []  # it is a part of its outage, though it was not tried
    since = func.coalesce(col(Job.outage_since), *held_back, func.clock_timestamp())
    outage_s = func.extract("epoch", func.clock_timestamp() - since)
    held = select(Job, outage_s).where(col(Job.claim_id) == claim_id, col(Job.state) == JobState.RUNNING)
    if expired_only:
        held = held.where(col(Job.lease_until) < func.clock_timestamp())
    found = (await session.execute(held.with_for_update())).one_or_none()
    if found is None:
        return None
    job, away_s = found
    kind = failure.kind
    outages = 0
    outage_since: Any = None
    if kind is FailureKind.AWAY:
        outages, outage_since = job.outages + 1, since
    elif kind is FailureKind.STOPPED:  # an outage goes on, whoever is stopped meanwhile
        outages, outage_since = job.outages, job.outage_since
    history = History(
        attempts=job.attempts - (kind in FREE_OF_ATTEMPT),
        losses=job.losses + (kind is FailureKind.LOSS),
        outages=outages,
        outage_s=float(away_s),
    )
    verdict = decide(failure, history, policy, immortal=job.kind in immortal, jitter=random.random())  # noqa: S311  # spreads load, hides nothing
    spent = {
        "attempts": history.attempts,
        "losses": history.losses,
        "outages": history.outages,
        "outage_since": outage_since,
        "error_code": failure.code,
        "error": failure.detail or failure.message,
        **UNCLAIMED,
    }
    match verdict:
        case Again(delay_s):
            after: dict[str, Any] = {"state": JobState.DUE, **_due(delay_s)}
        case Dead():
            after = {"state": JobState.DEAD, "finished_at": func.clock_timestamp()}
    await session.execute(update(Job).where(col(Job.id) == job.id).values(**spent, **after))
    await attempt.end(session, job.id, Outcome(kind.value), kind=job.kind.value, failure=failure)
    return job.kind, verdict


async def expired(session: AsyncSession, *, limit: int) -> list[tuple[UUID, UUID]]:
    """(recording_id, claim_id) of running jobs whose lease is over, the longest over first."""
    lost = (
        select(col(Job.recording_id), col(Job.claim_id))
        .where(col(Job.state) == JobState.RUNNING, col(Job.lease_until) < func.clock_timestamp())
        .order_by(col(Job.lease_until))
        .limit(limit)
    )
    return [
        (recording_id, claim_id)
        for recording_id, claim_id in await session.execute(lost)
        if claim_id is not None
    ]


async def postpone(session: AsyncSession, recording_id: UUID, kind: JobKind, *, delay_s: float) -> None:
    """A job that is due, if there is one, is not due before `delay_s` seconds are over."""
    later = func.greatest(col(Job.due_at), func.statement_timestamp() + timedelta(seconds=delay_s))
    whose = (col(Job.recording_id) == recording_id) & (col(Job.kind) == kind)
    due = update(Job).where(whose, col(Job.state) == JobState.DUE)
    await session.execute(due.values(due_at=later, ring_at=later))


async def revive(session: AsyncSession, recording_id: UUID, kind: JobKind | None = None) -> int:
    """Make a recording's dead jobs, of one kind or all, due again, with fresh budgets. Returns how many."""
    which = (col(Job.recording_id) == recording_id) & (col(Job.state) == JobState.DEAD)
    statement = (
        update(Job)
        .where(which if kind is None else which & (col(Job.kind) == kind))
        .values(state=JobState.DUE, finished_at=None, **FRESH, **_due(0))
    )
    return await _count(session, statement)


async def cancel(session: AsyncSession, recording_id: UUID, kind: JobKind | None = None) -> None:
    """End a recording's jobs, of one kind or all, dead and running ones included: their last check will fail."""
    which = "recording_id = :value" + (f" AND kind = '{kind.value}'" if kind else "")
    await _move_to_history(session, which, recording_id, JobState.CANCELLED)


async def cancel_one(session: AsyncSession, job_id: UUID) -> None:
    """End one job."""
    await _move_to_history(session, "id = :value", job_id, JobState.CANCELLED)


async def hasten(session: AsyncSession, job_id: UUID) -> None:
    """A job that waits for its time, or died, is due now, with fresh budgets."""
    waits = or_(col(Job.state) == JobState.DEAD, col(Job.state) == JobState.DUE)
    statement = update(Job).where(col(Job.id) == job_id, waits)
    await session.execute(statement.values(state=JobState.DUE, finished_at=None, **FRESH, **_due(0)))


async def prune(session: AsyncSession, *, older_s: float, limit: int) -> int:
    """Forget finished jobs. Returns how many."""
    old = (
        select(col(FinishedJob.id))
        .where(col(FinishedJob.finished_at) < func.now() - timedelta(seconds=older_s))
        .limit(limit)
    )
    forgotten = delete(FinishedJob).where(col(FinishedJob.id).in_(old)).returning(col(FinishedJob.id))
    ids = (await session.execute(forgotten)).scalars().all()
    await attempt.forget(session, ids)
    return len(ids)


async def forget(session: AsyncSession, recording_ids: Collection[UUID]) -> None:
    """Forget the finished jobs of these recordings."""
    await session.execute(delete(FinishedJob).where(col(FinishedJob.recording_id).in_(recording_ids)))
    await attempt.forget_of(session, recording_ids)


def _due(delay_s: float) -> dict[str, Any]:
    """When a job is due, and from when on it is rung for: the same moment, or now."""
    due_at = func.statement_timestamp() + timedelta(seconds=delay_s)
    return {"due_at": due_at, "ring_at": due_at if delay_s > 0 else None}


async def _move_to_history(session: Session, which: str, value: UUID, state: JobState) -> int:
    return await _count(session, _to_history(which), {"value": value, "state": state.value})


@cache
def _to_history(which: str) -> TextClause:
    columns = list(JobFields.model_fields)
    over = {"state": ":state", "finished_at": "clock_timestamp()"}
    # A purge has forgotten its own attempt by now: that it ended counts all the same.
    return text(
        f"WITH gone AS (DELETE FROM job WHERE {which} RETURNING *), "  # noqa: S608  # the caller's constant, no input
        "noted AS (UPDATE attempt SET ended_at = clock_timestamp(), outcome = :state FROM gone "
        "WHERE attempt.job_id = gone.id AND ended_at IS NULL RETURNING attempt.job_id, attempt.ended_at), "
        "ended AS (SELECT coalesce(noted.ended_at, clock_timestamp()) AS at, gone.kind, CAST(:state AS text) AS outcome "
        "FROM gone LEFT JOIN noted ON noted.job_id = gone.id WHERE gone.state = 'running'), "
        f"counted AS ({COUNT_ENDED}) "
        f"INSERT INTO job_history ({', '.join(columns)}) SELECT {', '.join(over.get(c, c) for c in columns)} FROM gone"
    )


async def _count(session: Session, statement: Any, values: Mapping[str, Any] | None = None) -> int:
    result = await session.execute(statement, values)
    return result.rowcount if isinstance(result, CursorResult) else 0
