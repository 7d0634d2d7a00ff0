"""Turns: which of the jobs that are due are rung for next.

    waits for its time ──ripen──▶ ready ──ring──▶ rung for ──claim──▶ running
                                    ▲                 │
                                    └─────ripen───────┘ nobody claimed it in time

A look goes round the tenants: from the one that came last to the next ones that have a ready job, and from the end to the
beginning. Each gets one job; when there are fewer tenants than room, each gets as many. So a tenant waits for one round,
however many jobs another has. Only what is ready is in the index that is walked, so a look costs what it takes, not what
waits: one probe for each tenant, and one for each tenant that is passed by since it is at its limit, of which there are no
more than there are jobs at work. Of one tenant, the job that has been due for longest comes first.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from models.db import Database
from models.job import AT_WORK, READY, WAITS, JobKind, Priority
from models.queues import HAND_BACK, HELD_BACK

NOBODY = UUID(int=0)
"""Before the first tenant."""

_RIPEN = text(
    f"""
    UPDATE job SET ring_at = NULL WHERE id = ANY(ARRAY(
        SELECT id FROM job WHERE {WAITS} AND ring_at <= statement_timestamp()
        ORDER BY ring_at LIMIT :limit FOR UPDATE SKIP LOCKED
    ))
    """  # noqa: S608  # constants only
)

_READY = text(
    f"""
    SELECT asked.kind, asked.priority,
           coalesce(queue.running_max, 0), coalesce(queue.tenant_running_max, :tenant_running_max)
    FROM (
        SELECT kind, priority FROM unnest(CAST(:kinds AS text[])) AS kind, unnest(CAST(:priorities AS integer[])) AS priority
    ) AS asked LEFT JOIN queue ON queue.kind = asked.kind
    CROSS JOIN LATERAL (
        SELECT FROM job WHERE job.kind = asked.kind AND job.priority = asked.priority AND {READY}
        ORDER BY tenant_id, due_at LIMIT 1
    ) AS job
    WHERE NOT {HELD_BACK.format(kind="asked.kind")}
    ORDER BY asked.kind, asked.priority
    """  # noqa: S608  # constants only
)

_NEXT = f"""(
    SELECT tenant_id FROM job
    WHERE kind = :kind AND priority = :priority AND {READY} AND tenant_id > {{after}}
    ORDER BY tenant_id LIMIT 1
)"""  # noqa: S608  # constants only

_RING = text(
    f"""
    WITH RECURSIVE at_work AS MATERIALIZED (
        SELECT tenant_id, count(*) AS jobs FROM job
        WHERE :limited AND kind = :kind AND ({AT_WORK})
        GROUP BY tenant_id
    ), full_tenant AS (
        SELECT tenant_id FROM at_work WHERE :tenant_running_max > 0 AND jobs >= :tenant_running_max
    ), bound AS MATERIALIZED (
        SELECT room, room + (SELECT count(*) FROM full_tenant) AS probes
        FROM (SELECT CASE WHEN :running_max > 0
                     THEN greatest(0, least(:room, :running_max - (SELECT coalesce(sum(jobs), 0) FROM at_work)))
                     ELSE :room END AS room) AS free
    ), ahead (tenant_id, place) AS (
        SELECT {_NEXT.format(after="CAST(:after AS uuid)")}, CAST(1 AS bigint) FROM bound WHERE room > 0
        UNION ALL
        SELECT {_NEXT.format(after="ahead.tenant_id")}, place + 1 FROM ahead, bound
        WHERE ahead.tenant_id IS NOT NULL AND place < probes
    ), behind (tenant_id, place) AS (
        SELECT {_NEXT.format(after=f"CAST('{NOBODY}' AS uuid)")}, (SELECT count(tenant_id) FROM ahead) + 1 FROM bound
        WHERE room > 0 AND (SELECT count(tenant_id) FROM ahead) < probes
        UNION ALL
        SELECT {_NEXT.format(after="behind.tenant_id")}, place + 1 FROM behind, bound
        WHERE behind.tenant_id < CAST(:after AS uuid) AND place < probes
    ), walked AS (
        SELECT * FROM ahead WHERE tenant_id IS NOT NULL
        UNION ALL
        SELECT * FROM behind WHERE tenant_id <= CAST(:after AS uuid)
    ), turn AS MATERIALIZED (
        SELECT walked.*, CASE WHEN :tenant_running_max > 0
                         THEN :tenant_running_max - coalesce(at_work.jobs, 0) ELSE :room END AS free
        FROM walked LEFT JOIN at_work USING (tenant_id)
        WHERE tenant_id NOT IN (SELECT tenant_id FROM full_tenant)
        ORDER BY place LIMIT (SELECT room FROM bound)
    ), share AS MATERIALIZED (
        SELECT ceil(CAST((SELECT room FROM bound) AS numeric) / nullif(count(*), 0))::bigint AS jobs FROM turn
    ), chosen AS MATERIALIZED (
        SELECT turn.place, job.id, row_number() OVER (PARTITION BY place ORDER BY job.due_at) AS nth
        FROM turn CROSS JOIN LATERAL (
            SELECT id, due_at FROM job
            WHERE kind = :kind AND priority = :priority AND {READY} AND tenant_id = turn.tenant_id
            ORDER BY due_at LIMIT least(turn.free, (SELECT jobs FROM share)) FOR UPDATE SKIP LOCKED
        ) AS job
    ), picked AS MATERIALIZED (
        SELECT * FROM chosen ORDER BY nth, place LIMIT (SELECT room FROM bound)
    ), rung AS (
        UPDATE job SET ring_at = CASE WHEN due_at <= clock_timestamp()
            THEN clock_timestamp() + make_interval(secs => :again_s) ELSE due_at END
        WHERE id = ANY(ARRAY(SELECT id FROM picked))
        RETURNING id, ring_at > due_at AS is_due
    )
    SELECT ARRAY(SELECT id FROM picked JOIN rung USING (id) WHERE is_due ORDER BY nth, place),
           (SELECT tenant_id FROM turn ORDER BY place DESC LIMIT 1),
           (SELECT count(*) FROM picked) >= (SELECT room FROM bound)
               OR (SELECT max(nth) FROM picked) >= (SELECT jobs FROM share)
               OR EXISTS (SELECT FROM turn WHERE free < (SELECT jobs FROM share))
               OR EXISTS (SELECT FROM walked JOIN full_tenant USING (tenant_id))
    """  # noqa: S608  # constants only
)


class Ready(NamedTuple):
    """There are jobs of this kind and priority to ring for. So many of the kind may be at work at once, of all tenants and
    of each; 0: any number."""

    kind: JobKind
    priority: Priority = Priority.AWAITED
    running_max: int = 0
    tenant_running_max: int = 0


class Rung(NamedTuple):
    """Jobs that were rung for, in the order in which to send them; the tenant whose turn was last; whether to look again
    soon: some may be left for which there was no room, or whose tenant or queue is at its limit."""

    jobs: Sequence[UUID]
    last: UUID | None
    more: bool


async def ripen(session: AsyncSession, *, limit: int) -> int:
    """Jobs whose time has come, or for which somebody rang in vain, are ready: the longest over first. Returns how many."""
    return (await session.execute(_RIPEN, {"limit": limit})).rowcount  # type: ignore[attr-defined,no-any-return]  # a CursorResult


async def ready(session: AsyncSession, *, tenant_running_max: int = 0) -> Sequence[Ready]:
    """What `ring` would find jobs of, by kind and priority: not what is paused, or held back by a breaker.

    `tenant_running_max` is the limit of queues that have none of their own.
    """
    values = {
        "kinds": [kind.value for kind in JobKind],
        "priorities": [int(priority) for priority in Priority],
        "tenant_running_max": tenant_running_max,
    }
    rows = await session.execute(_READY, values)
    return [Ready(JobKind(kind), Priority(priority), *limits) for kind, priority, *limits in rows]


async def ring(session: AsyncSession, wanted: Ready, *, after: UUID, room: int, again_s: float) -> Rung:
    """Take up to `room` ready jobs of what is wanted, going round from the tenant after `after`.

    The caller commits, then sends their ids. A ring that is lost on the way is repeated after `again_s` seconds.
    """
    values = {
        "kind": wanted.kind.value,
        "priority": int(wanted.priority),
        "running_max": wanted.running_max,
        "tenant_running_max": wanted.tenant_running_max,
        "limited": bool(wanted.running_max or wanted.tenant_running_max),
        "after": after,
        "room": room,
        "again_s": again_s,
    }
    jobs, last, more = (await session.execute(_RING, values)).one()
    return Rung(jobs, last, bool(more))


async def hand_back(db: Database, job_id: UUID) -> None:
    """A job that was rung for is not begun here: it is ready again at once."""
    async with db.driver() as connection:
        await connection.execute(HAND_BACK, job_id)
