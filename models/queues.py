"""Queues: one for each kind of job. An operator may pause one and limit how much of it runs at once.

A queue without a row is as it comes: not paused, no limits of its own. While it is paused nobody rings for its jobs, and
a job that was rung for before is not begun: it stays due. Jobs that run go on. Functions take the caller's session, so
that who did it is written in the same transaction.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict, Unpack

import asyncpg
from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from models.breakers import AWAY
from models.columns import enum_type
from models.db import Statement
from models.job import JobKind

HELD_BACK = f"""(
    EXISTS (SELECT FROM queue WHERE queue.kind = {{kind}} AND paused_at IS NOT NULL) OR {AWAY}
)"""
"""SQL: whether no job of `kind` may begin now."""

_LIMIT = "coalesce((SELECT {name} FROM queue WHERE queue.kind = {kind}), {default})"
_ALL = _LIMIT.format(name="running_max", kind="{kind}", default="0")
_TENANT = _LIMIT.format(
    name="tenant_running_max", kind="{kind}", default="CAST(:tenant_running_max AS integer)"
)

MAY_BEGIN = f"NOT {HELD_BACK.format(kind='job.kind')}"
"""SQL: whether `job` may be claimed, as far as its queue is concerned."""

TURN_OF = f"""CASE
    WHEN {_ALL.format(kind="job.kind")} > 0 THEN job.kind
    WHEN {_TENANT.format(kind="job.kind")} > 0 THEN job.kind || ' ' || job.tenant_id
END"""
"""SQL: who has limits that `job` must keep: it may be claimed only while nobody else claims for them, and if HAS_ROOM."""

_RUNNING = "SELECT count(*) FROM job AS other WHERE other.state = 'running' AND other.kind = asked.kind"
HAS_ROOM = f"""(
    SELECT (running_max = 0 OR ({_RUNNING}) < running_max)
       AND (tenant_running_max = 0 OR ({_RUNNING} AND other.tenant_id = asked.tenant_id) < tenant_running_max)
    FROM (SELECT {_ALL.format(kind="asked.kind")} AS running_max, {_TENANT.format(kind="asked.kind")} AS tenant_running_max) AS most
)"""  # noqa: S608  # constants only
"""SQL: whether fewer jobs run than the limits of the queue of `asked` say, of all tenants and of its own."""


HAND_BACK = "UPDATE job SET ring_at = NULL WHERE id = $1 AND state = 'due' AND ring_at > due_at"
"""SQL: a job that was rung for is ready again."""


class Queue(SQLModel, table=True):
    """What operators have set for a kind of job. Limits: null is the setting of the deck, 0 is none."""

    __tablename__ = "queue"

    kind: JobKind = Field(sa_type=enum_type(JobKind), primary_key=True)
    paused_at: datetime | None = None
    paused_by: str | None = None
    running_max: int | None = Field(default=None, ge=0, description="jobs that run at once")
    tenant_running_max: int | None = Field(
        default=None, ge=0, description="jobs of one tenant that run at once"
    )


class Limits(TypedDict, total=False):
    """Those of a queue, as `Queue` has them."""

    running_max: int | None
    tenant_running_max: int | None


async def all_of(session: AsyncSession) -> Sequence[Queue]:
    """Every queue, also those that nobody has touched."""
    known = {queue.kind: queue for queue in (await session.execute(select(Queue))).scalars()}
    return [known.get(kind) or Queue(kind=kind) for kind in JobKind]


async def pause(session: AsyncSession, kind: JobKind, by: str) -> bool:
    """Begin no more jobs of this kind. False when it was paused already: the first one's name stays."""
    paused = insert(Queue).values(kind=kind, paused_at=func.now(), paused_by=by)
    once = paused.on_conflict_do_update(
        index_elements=["kind"],
        set_={"paused_at": paused.excluded.paused_at, "paused_by": paused.excluded.paused_by},
        where=col(Queue.paused_at).is_(None),
    ).returning(col(Queue.kind))
    return (await session.execute(once)).first() is not None


async def resume(session: AsyncSession, kind: JobKind) -> bool:
    """Go on with this kind. False when it was not paused."""
    resumed = (
        update(Queue)
        .where(col(Queue.kind) == kind, col(Queue.paused_at).is_not(None))
        .values(paused_at=None, paused_by=None)
        .returning(col(Queue.kind))
    )
    return (await session.execute(resumed)).first() is not None


async def limit(session: AsyncSession, kind: JobKind, **limits: Unpack[Limits]) -> bool:
    """From now on so many jobs of this kind begin while others run; what runs goes on. False when it was so already.

    A limit that is not named stays as it is; None is the deck's setting, 0 is none.
    """
    if not limits:
        return False
    await session.execute(insert(Queue).values(kind=kind).on_conflict_do_nothing())
    differs = [getattr(Queue, name).is_distinct_from(value) for name, value in limits.items()]
    changed = (
        update(Queue)
        .where(col(Queue.kind) == kind, or_(*differs))
        .values(**limits)
        .returning(col(Queue.kind))
    )
    return (await session.execute(changed)).first() is not None


async def in_turn(
    connection: "asyncpg.Connection[asyncpg.Record]", claim: Statement, values: Mapping[str, Any]
) -> asyncpg.Record | None:
    """Claim a job; one that has limits to keep, while nobody else begins one of those that are counted.

    A job for which there is no room is ready again at once, and rung for when there is.
    """
    job = await claim.fetchrow(connection, {**values, "in_turn": False})
    if job is None or job["id"] is not None or job["turn_of"] is None:
        return job
    lock = "SELECT pg_advisory_xact_lock(hashtextextended('turn of ' || $1, 0))"
    async with connection.transaction():
        await connection.execute(lock, job["turn_of"])
        job = await claim.fetchrow(connection, {**values, "in_turn": True})
        if job is None or job["id"] is None:
            await connection.execute(HAND_BACK, values["job_id"])
    return job
