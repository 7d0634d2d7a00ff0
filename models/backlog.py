"""Whose work waits, and whose has waited for longest.

A million jobs are not looked at for that: of each queue the tenants are walked, from one that has a ready job to the next, by
the index that also says which of its jobs has been due for longest (`models.turns` goes the same way). What is not in that
index, since somebody rang for it or its time has come just now, is little: messages in Redis, and what the dispatcher will
see at its next look.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from models.job import AT_WORK, READY, WAITS, JobKind, Priority

WALKED_MAX = 100_000
"""Tenants of one queue, and jobs whose time has come just now: as many as a few tenths of a second allow."""

IS_WANTED = """(
    (CAST(:part AS text) IS NULL OR strpos(lower(tenant.name), lower(:part)) > 0)
    AND (CAST(:id AS uuid) IS NULL OR tenant.id = :id)
)"""
"""SQL: whether `tenant` is one that is asked for."""

_WAITING = text(
    f"""
    WITH RECURSIVE walked (kind, priority, tenant_id, due_at, place) AS (
        SELECT kind, priority, job.tenant_id, job.due_at, 1
        FROM unnest(CAST(:kinds AS text[])) AS kind, unnest(CAST(:priorities AS integer[])) AS priority
        CROSS JOIN LATERAL (
            SELECT tenant_id, due_at FROM job
            WHERE job.kind = kind.kind AND job.priority = priority.priority AND {READY}
            ORDER BY tenant_id, due_at LIMIT 1
        ) AS job
        UNION ALL
        SELECT walked.kind, walked.priority, job.tenant_id, job.due_at, place + 1
        FROM walked CROSS JOIN LATERAL (
            SELECT tenant_id, due_at FROM job
            WHERE job.kind = walked.kind AND job.priority = walked.priority AND {READY} AND job.tenant_id > walked.tenant_id
            ORDER BY tenant_id, due_at LIMIT 1
        ) AS job
        WHERE place < :most
    )
    SELECT tenant_id FROM (
        SELECT tenant_id, due_at FROM walked
        UNION ALL
        SELECT tenant_id, due_at FROM job WHERE state = 'due' AND ({AT_WORK}) AND due_at <= statement_timestamp()
        UNION ALL
        (SELECT tenant_id, due_at FROM job WHERE {WAITS} AND ring_at <= statement_timestamp()
         ORDER BY ring_at LIMIT :most)
    ) AS waiting
    WHERE :anyone OR EXISTS (SELECT FROM tenant WHERE tenant.id = waiting.tenant_id AND {IS_WANTED})
    GROUP BY tenant_id ORDER BY min(due_at), tenant_id LIMIT :limit
    """  # noqa: S608  # constants only
)


def wanted(q: str | None) -> dict[str, Any]:
    """Who is asked for, for IS_WANTED: whose name contains `q`, in any case, or whose id it is; None: everybody."""
    try:
        return {"part": None, "id": UUID(q) if q else None}
    except ValueError:
        return {"part": q, "id": None}


async def waiting_longest(session: AsyncSession, q: str | None, *, limit: int) -> Sequence[UUID]:
    """Up to `limit` tenants for whom something is due, of those that `wanted` names, the one that has waited for longest first. Of a
    tenant that is past WALKED_MAX in each of its queues nothing is said."""
    values = {
        **wanted(q),
        "anyone": q is None,
        "limit": limit,
        "kinds": [kind.value for kind in JobKind],
        "priorities": [int(priority) for priority in Priority],
        "most": WALKED_MAX,
    }
    return (await session.execute(_WAITING, values)).scalars().all()
