"""Carrying actions out: one job at a time, in a transaction that also says how far the action is.

So a crash repeats nothing and forgets nothing, and of two dispatchers at one action, one does each job: the other finds
the cursor moved on, and rolls back. Lock order: the recording, its job, the action.

A retry of very many does not flood their queue: it goes on when what is ready there has been worked off.

What nothing may end is not discarded: `purge`, `video_deadline` and `close` are the promise that no recording is stuck
and nothing deleted stays; `mask` is somebody's wish to have a secret removed.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import filters, ledger, lifecycle, mask_request
from models.action import ACTIVE, Action, ActionState, Verb, audit
from models.db import Database
from models.filters import JobFilter
from models.job import READY, Job, JobKind, JobState
from models.lives import bounded
from models.recording import FailureCode, Status

DISCARDABLE = frozenset({JobKind.PROCESS, JobKind.VERIFY_VIDEO, JobKind.RELATE})
CANARY = 3
BACKLOG_MAX = 2000
"""Jobs of a kind that are ready: with so many, a retry adds no more. Workers do not run dry between two batches, and a new
recording of the same tenant is behind no more than these."""
DISCARDED = "An operator discarded the work that was owed to this recording."

_FAILED_AGAIN = frozenset({"bad_input", "fault", "loss"})
_WENT_WELL = frozenset({"done", "continued", "cancelled"})
_MOVE = text(
    """
    UPDATE action SET cursor = :job, done = done + CAST(:changed AS int), skipped = skipped + 1 - CAST(:changed AS int),
        canary = canary || CAST(:canary AS jsonb)
    WHERE id = :id AND (cursor IS NULL OR cursor < :job) AND state = ANY(:active)
    """
)
_SET = text(
    """
    UPDATE action SET state = :state, reason = :reason,
        finished_at = CASE WHEN :over THEN clock_timestamp() END
    WHERE id = :id AND state = ANY(:active) RETURNING who, verb, done
    """
)
_WAIT = text("UPDATE action SET reason = :reason WHERE id = :id AND state = ANY(:active)")
_READY = text(
    f"SELECT count(*) FROM (SELECT FROM job WHERE kind = :kind AND {READY} LIMIT :most) AS ready"  # noqa: S608  # constants only
)
_OUTCOME = text(
    """
    SELECT outcome FROM attempt WHERE job_id = :job AND number > :claims AND outcome NOT IN ('away', 'stopped')
    ORDER BY number LIMIT 1
    """
)
_CLAIMS = text("SELECT claims FROM job WHERE id = :job")
_REFILL = text(
    "UPDATE job SET ring_at = NULL WHERE state = 'due' AND ring_at > due_at AND due_at <= now() RETURNING id"
)
_IS_LIVE = text("SELECT EXISTS (SELECT FROM job WHERE id = :job)")


class _Overtaken(Exception):
    """Another dispatcher did this job, or the action was stopped."""


def applicable(verb: Verb) -> list[ColumnElement[bool]]:
    """Which jobs a verb can do anything to."""
    dead, due = col(Job.state) == JobState.DEAD, col(Job.state) == JobState.DUE
    if verb is Verb.RETRY:
        return [or_(dead, due & filters.is_later())]
    return [col(Job.kind).in_(DISCARDABLE)]


async def apply(
    session: AsyncSession, verb: Verb, job_id: UUID, jobs: JobFilter, *, video_wait_s: float
) -> bool:
    """Do it to a job, if it matches now. False when it does not, or when it cannot be done."""
    whose = await session.execute(select(col(Job.recording_id)).where(col(Job.id) == job_id))
    if (recording_id := whose.scalar_one_or_none()) is None:
        return False
    recording = await lifecycle.lock(session, recording_id, deleted=True)
    matching = select(Job).where(col(Job.id) == job_id, *filters.conditions(jobs), *applicable(verb))
    job = (await session.execute(matching.with_for_update())).scalar_one_or_none()
    if job is None:
        return False
    kind, is_dead = job.kind, job.state is JobState.DEAD
    if verb is Verb.DISCARD:
        if recording is not None and kind is JobKind.RELATE and lifecycle.has_outdated_rows(recording):
            return False  # it removes what must not stay
        await ledger.cancel_one(session, job_id)
        if recording is not None and recording.deleted_at is None and lifecycle.is_fatal(kind, recording):
            code = FailureCode.ROWS_FAILED if kind is JobKind.RELATE else FailureCode.PROCESSING_FAILED
            await lifecycle.fail(session, recording, code, DISCARDED)
            await mask_request.owe(session, recording)
        return True
    is_failed = recording is not None and recording.status is Status.FAILED
    try:
        async with session.begin_nested():
            if is_dead and recording is not None and is_failed and lifecycle.is_fatal(kind, recording):
                await lifecycle.retry_locked(session, recording, video_wait_s=video_wait_s)
            else:
                await ledger.hasten(session, job_id)
    except (lifecycle.PayloadExpired, IntegrityError):  # or another job does the same meanwhile
        return False
    return True


async def refill(session: AsyncSession) -> int:
    """Everything that was rung for and not begun is to be rung for again. Returns how many: no more than Redis had room for."""
    return len((await session.execute(_REFILL)).all())


async def active(db: Database) -> Sequence[Action]:
    """The actions that are not over, the oldest first."""
    wanted = select(Action).where(col(Action.state).in_(ACTIVE)).order_by(col(Action.id))
    async with db.reading() as session:
        return (await session.execute(wanted)).scalars().all()


class Step(NamedTuple):
    """How many jobs an action came by. Without any, nothing is left, or the queue `waits_for` has to be worked off first."""

    came_by: int
    waits_for: JobKind | None


async def step(db: Database, action: Action, *, limit: int, video_wait_s: float) -> Step:
    """Do up to `limit` more jobs of an action. Raises TooCostly."""
    wanted = select(col(Job.id), col(Job.kind)).where(
        *filters.conditions(action.jobs),
        *applicable(action.verb),
        col(Job.created_at) <= action.created_at,
    )
    if action.cursor is not None:
        wanted = wanted.where(col(Job.id) > action.cursor)
    async with bounded(db) as session:
        found = (await session.execute(wanted.order_by(col(Job.id)).limit(limit))).all()
        adds_to = {kind for _, kind in found} if action.verb is Verb.RETRY else set()
        full = {kind for kind in adds_to if await _is_full(session, kind)}
    ahead = list(takewhile(lambda job: job.kind not in full, found))
    for job_id, _ in ahead:
        try:
            async with db.transaction() as session:
                before = (await session.execute(_CLAIMS, {"job": job_id})).scalar_one_or_none()
                changed = await apply(session, action.verb, job_id, action.jobs, video_wait_s=video_wait_s)
                is_canary = changed and action.state is ActionState.PENDING and action.verb is Verb.RETRY
                canary = f'[["{job_id}", {before}]]' if is_canary else "[]"
                values = {"id": action.id, "job": job_id, "changed": changed, "canary": canary}
                moved = await session.execute(_MOVE, values | {"active": [one.value for one in ACTIVE]})
                if moved.rowcount != 1:  # type: ignore[attr-defined]  # a CursorResult
                    raise _Overtaken
        except _Overtaken:
            break
    return Step(len(ahead), found[len(ahead)].kind if len(ahead) < len(found) else None)


async def _is_full(session: AsyncSession, kind: JobKind) -> bool:
    """Whether enough jobs of a kind are ready; however many there are, no more are counted."""
    values = {"kind": kind.value, "most": BACKLOG_MAX}
    return int((await session.execute(_READY, values)).scalar_one()) >= BACKLOG_MAX


async def wait_for(db: Database, action: Action, kind: JobKind | None) -> None:
    """Say that the action waits for a queue to be worked off, or for none any more."""
    reason = (
        f"waits: {BACKLOG_MAX} jobs of the queue {kind.value} are to be worked off first" if kind else None
    )
    if reason != action.reason:
        async with db.transaction() as session:
            values = {"id": action.id, "reason": reason, "active": [one.value for one in ACTIVE]}
            await session.execute(_WAIT, values)


async def set_state(db: Database, action_id: UUID, state: ActionState, reason: str | None = None) -> None:
    """The action goes on to this state, unless it is over."""
    is_over = state not in ACTIVE
    values = {"id": action_id, "state": state.value, "reason": reason, "over": is_over}
    async with db.transaction() as session:
        found = await session.execute(_SET, values | {"active": [one.value for one in ACTIVE]})
        if (row := found.one_or_none()) is not None and is_over:
            audit(
                session, row.who, f"{row.verb} {state.value}", f"action {action_id}", row.done, reason=reason
            )


async def canary(db: Database, action: Action) -> bool | None:
    """Whether the first few went well this time; None: nobody knows yet."""
    verdicts = []
    async with db.reading() as session:
        for job_id, claims in action.canary:
            values = {"job": UUID(job_id), "claims": claims}
            outcome = (await session.execute(_OUTCOME, values)).scalar_one_or_none()
            if outcome is None and not (await session.execute(_IS_LIVE, values)).scalar_one():
                outcome = "done"  # and pruned, or purged with its recording
            verdicts.append(outcome)
    return judged(verdicts)


def judged(outcomes: Sequence[str | None]) -> bool | None:
    """From the first outcomes of the canary since: half of them failing again is too many."""
    failed = sum(outcome in _FAILED_AGAIN for outcome in outcomes)
    if failed and 2 * failed >= len(outcomes):
        return False
    return None if any(outcome not in _FAILED_AGAIN | _WENT_WELL for outcome in outcomes) else True
