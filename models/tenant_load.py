"""What each tenant asks of the deck: what it sent, what of it waits, runs, failed, and for how long. Operators read it.

What a page of tenants costs depends neither on how many jobs wait nor on how many tenants there are: of each tenant at most
COUNTED_MAX jobs of a kind are counted, and the payload of at most PENDING_MAX recordings, each by an index that leads to them.

A due job is *ready* (nobody has rung for it), *rung for*, or *ripe* (its time has come, or somebody rang in vain, and the
dispatcher has yet to say so: `models.turns`). The three indexes together have each of them once.

Where a limit cuts something short, `>=` and `<=` stand for `=`: else Postgres, which thinks that every tenant has as many rows
as the largest, goes through all of them in the order of another index, and for a tenant without any that takes seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.backlog import IS_WANTED, waiting_longest, wanted
from models.db import Database
from models.filters import COUNTED_MAX
from models.job import AT_WORK, READY, WAITS, JobKind, JobState, Priority
from models.lives import bounded
from models.recording import Status
from models.tenancy import Project

PENDING_MAX = 1000
PROJECTS_MAX = 200
LATELY_DAYS = 30


class QueueLoad(NamedTuple):
    """A tenant's jobs of a kind; the one that has been due for longest is so `since` then. `cut`: more are due than counted."""

    tenant_id: UUID
    kind: str
    due: int
    running: int
    dead: int
    since: datetime | None
    cut: bool


@dataclass(frozen=True)
class TenantLoad:
    """A tenant. Recordings that were accepted today (UTC) and in the last LATELY_DAYS days, deleted ones included; those that
    have failed, up to COUNTED_MAX; bytes of payload in Postgres. `pending_cut`: there may be more of them."""

    id: UUID
    name: str
    created_at: datetime
    accepted_today: int
    accepted_lately: int
    failed: int
    pending_bytes: int
    pending_cut: bool
    queues: list[QueueLoad] = field(default_factory=list)


class Loads(NamedTuple):
    """Tenants as they were `at` Postgres's time; which limits of jobs at once the queues set for each tenant, null: none of
    their own."""

    at: datetime
    tenants: Sequence[TenantLoad]
    limits: dict[str, int | None]


class OneLoad(NamedTuple):
    """One tenant, its newest COUNTED_MAX recordings by status, and its projects, up to PROJECTS_MAX and one."""

    loads: Loads
    by_status: dict[Status, int]
    projects: Sequence[Project]

    @property
    def tenant(self) -> TenantLoad:
        return self.loads.tenants[0]


_TENANTS = "SELECT id, name, created_at FROM tenant"
_THESE = text(f"{_TENANTS} WHERE id = ANY(:ids)")

_QUEUES = text(
    f"""
    WITH asked AS MATERIALIZED (
        SELECT tenant_id, kind
        FROM unnest(CAST(:ids AS uuid[])) AS tenant_id, unnest(CAST(:kinds AS text[])) AS kind
    ), ripe AS MATERIALIZED (
        SELECT kind, tenant_id, count(*) AS jobs, min(due_at) AS since FROM (
            SELECT kind, tenant_id, due_at FROM job
            WHERE {WAITS} AND ring_at <= statement_timestamp() AND due_at <= statement_timestamp()
            ORDER BY ring_at LIMIT :most
        ) AS over GROUP BY kind, tenant_id
    )
    SELECT asked.tenant_id, asked.kind, ready.jobs + at_work.rung + coalesce(ripe.jobs, 0) AS due, at_work.running,
           dead.jobs AS dead, least(ready.since, at_work.since, ripe.since) AS since,
           ready.jobs >= :most OR (SELECT coalesce(sum(jobs), 0) FROM ripe) >= :most AS cut
    FROM asked LEFT JOIN ripe USING (tenant_id, kind)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(each.jobs), 0)::bigint AS jobs, min(each.since) AS since
        FROM unnest(CAST(:priorities AS integer[])) AS which (priority) CROSS JOIN LATERAL (
            SELECT count(*) AS jobs, min(due_at) AS since FROM (
                SELECT due_at FROM job
                WHERE job.kind = asked.kind AND job.priority = which.priority AND {READY} AND job.tenant_id = asked.tenant_id
                ORDER BY due_at LIMIT :most
            ) AS few
        ) AS each
    ) AS ready
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE state = '{JobState.RUNNING}') AS running, count(*) FILTER (WHERE is_rung) AS rung,
               min(due_at) FILTER (WHERE is_rung) AS since
        FROM (
            SELECT state, due_at, state = '{JobState.DUE}' AND ring_at > statement_timestamp()
                AND due_at <= statement_timestamp() AS is_rung
            FROM job WHERE job.kind = asked.kind AND job.tenant_id = asked.tenant_id AND ({AT_WORK})
        ) AS seen
    ) AS at_work
    CROSS JOIN LATERAL (
        SELECT count(*) AS jobs FROM (
            SELECT FROM job WHERE state = 'dead'
              AND (job.tenant_id, job.kind) >= (asked.tenant_id, asked.kind)
              AND (job.tenant_id, job.kind) <= (asked.tenant_id, asked.kind)
            ORDER BY job.tenant_id, job.kind LIMIT :most
        ) AS few
    ) AS dead
    """  # noqa: S608  # constants only
)

_FAILED = """
    SELECT id FROM recording
    WHERE recording.tenant_id >= asked.tenant_id AND recording.tenant_id <= asked.tenant_id
      AND status = 'failed' AND deleted_at IS NULL
    ORDER BY tenant_id DESC, id DESC
"""
_OWED = """
    SELECT recording_id FROM job
    WHERE (job.kind, job.tenant_id) >= ('{kind}', asked.tenant_id) AND (job.kind, job.tenant_id) <= ('{kind}', asked.tenant_id)
    ORDER BY job.kind, job.tenant_id, job.id
"""

# Payload waits while `process` is owed, or more is expected (`close`), and stays for a while when it failed.
_SUMS = text(
    f"""
    SELECT asked.tenant_id, accepted.today, accepted.lately, failed.recordings AS failed, pending.bytes,
           pending.recordings >= :pending_most AS cut
    FROM unnest(CAST(:ids AS uuid[])) AS asked (tenant_id)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(accepted) FILTER (WHERE hour >= date_trunc('day', now(), 'UTC')), 0)::bigint AS today,
               coalesce(sum(accepted), 0)::bigint AS lately
        FROM accepted_tally AS tallied
        WHERE tallied.tenant_id = asked.tenant_id
          AND hour >= date_trunc('hour', now() - make_interval(days => {LATELY_DAYS}), 'UTC')
    ) AS accepted
    CROSS JOIN LATERAL (
        SELECT count(*) AS recordings FROM (
            {_FAILED} LIMIT :most
        ) AS few
    ) AS failed
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(size), 0)::bigint AS bytes, count(*) AS recordings FROM (
            ({_OWED.format(kind=JobKind.PROCESS)} LIMIT :pending_most)
            UNION
            ({_OWED.format(kind=JobKind.CLOSE)} LIMIT :pending_most)
            UNION
            ({_FAILED} LIMIT :pending_most)
        ) AS owed CROSS JOIN LATERAL (
            SELECT sum(octet_length(data)) AS size FROM payload WHERE payload.recording_id = owed.recording_id
        ) AS kept
    ) AS pending
    """  # noqa: S608  # constants only
)

_LIMITS = text("SELECT kind, tenant_running_max FROM queue")

_BY_STATUS = text(
    """
    SELECT status, count(*) FROM (
        SELECT status FROM recording
        WHERE tenant_id >= :id AND tenant_id <= :id AND deleted_at IS NULL ORDER BY tenant_id, id DESC LIMIT :most
    ) AS newest GROUP BY status
    """
)


async def by_name(db: Database, q: str | None, *, limit: int, after: UUID | None) -> Loads:
    """Up to `limit` tenants that `models.backlog.wanted` names, by name, from the one after the tenant `after`. Raises TooCostly."""
    later = "AND (name, id) > (SELECT name, id FROM tenant WHERE id = :after)" if after else ""
    page = text(f"{_TENANTS} WHERE {IS_WANTED} {later} ORDER BY name, id LIMIT :limit")
    values = {**wanted(q), "limit": limit} | ({"after": after} if after else {})
    async with bounded(db) as session:
        return await _loads(session, (await session.execute(page, values)).all())


async def by_backlog(db: Database, q: str | None, *, limit: int) -> Loads:
    """Up to `limit` of them for whom something is due: whose first job has been due for longest comes first. Raises TooCostly."""
    async with bounded(db) as session:
        ids = await waiting_longest(session, q, limit=limit)
        found = {tenant.id: tenant for tenant in await session.execute(_THESE, {"ids": ids})}
        return await _loads(session, [found[id_] for id_ in ids if id_ in found])


async def one(db: Database, tenant_id: UUID) -> OneLoad | None:
    """A tenant and its projects, the oldest first; None when there is none. Raises TooCostly."""
    projects = select(Project).where(col(Project.tenant_id) == tenant_id).order_by(col(Project.id))
    async with bounded(db) as session:
        found = (await session.execute(_THESE, {"ids": [tenant_id]})).all()
        if not found:
            return None
        counted = await session.execute(_BY_STATUS, {"id": tenant_id, "most": COUNTED_MAX})
        return OneLoad(
            await _loads(session, found),
            {Status(status): count for status, count in counted},
            (await session.execute(projects.limit(PROJECTS_MAX + 1))).scalars().all(),
        )


async def _loads(session: AsyncSession, tenants: Sequence[Row[Any]]) -> Loads:
    """What there is to know of these tenants, in their order."""
    values = {
        "ids": [tenant.id for tenant in tenants],
        "kinds": [kind.value for kind in JobKind],
        "priorities": [int(priority) for priority in Priority],
        "most": COUNTED_MAX,
        "pending_most": PENDING_MAX,
    }
    queues: dict[UUID, list[QueueLoad]] = {tenant.id: [] for tenant in tenants}
    for row in await session.execute(_QUEUES, values):
        queues[row.tenant_id].append(QueueLoad(*row))
    sums = {row.tenant_id: row for row in await session.execute(_SUMS, values)}
    limits: dict[str, int | None] = {kind.value: None for kind in JobKind}
    limits.update(tuple(row) for row in await session.execute(_LIMITS))
    now = (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()
    loads = [TenantLoad(*(*tenant, *sums[tenant.id][1:], queues[tenant.id])) for tenant in tenants]
    return Loads(now, loads, limits)
