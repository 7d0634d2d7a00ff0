"""Whose work waits, and whose has waited for longest.

A million jobs are not looked at for that, and as a rule not every tenant who waits either. What is ready is gone through in
the order in which it came due: whoever is met first has waited for longest, so it is over as soon as enough are met. When
those that came due first belong to few, as after a flood by one tenant, the tenants are walked instead, from one that has a
ready job to the next, by the index that says of each which of its jobs has been due for longest (`models.turns` goes the same
way). Either way the answer is the same, up to WALKED_MAX.

What is in neither index, since somebody rang for it or its time has come just now, is little: messages in Redis, and what the
dispatcher will see at its next look.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from models.job import AT_WORK, READY, WAITS, JobKind, Priority

MET_MAX = 10_000
"""Ready jobs in the order in which they came due: as many as some ten milliseconds allow."""

WALKED_MAX = 100_000
"""Tenants of one queue, and jobs whose time has come just now: as many as a few tenths of a second allow."""

IS_WANTED = """(
    (CAST(:part AS text) IS NULL OR strpos(lower(tenant.name), lower(:part)) > 0)
    AND (CAST(:id AS uuid) IS NULL OR tenant.id = :id)
)"""
"""SQL: whether `tenant` is one that is asked for."""

_NOT_READY = f"""
    SELECT tenant_id, due_at FROM job WHERE state = 'due' AND ({AT_WORK}) AND due_at <= statement_timestamp()
    UNION ALL
    (SELECT tenant_id, due_at FROM job WHERE {WAITS} AND ring_at <= statement_timestamp()
     ORDER BY ring_at LIMIT :most)
"""  # noqa: S608  # constants only

# Who comes after the last job that was met may have to stand behind somebody who was not.
_MET = text(
    f"""
    WITH met AS MATERIALIZED (
        SELECT tenant_id, due_at FROM job WHERE {READY} ORDER BY due_at, tenant_id LIMIT :met_max
    ), last AS MATERIALIZED (
        SELECT due_at, tenant_id FROM met ORDER BY due_at, tenant_id OFFSET :met_max - 1
    )
    SELECT tenant_id, EXISTS (SELECT FROM last) AS more FROM (SELECT * FROM met UNION ALL {_NOT_READY}) AS waiting
    GROUP BY tenant_id
    HAVING NOT EXISTS (SELECT FROM last WHERE (last.due_at, last.tenant_id) < (min(waiting.due_at), waiting.tenant_id))
    ORDER BY min(due_at), tenant_id LIMIT :limit
    """  # noqa: S608  # constants only
)

_WALKED = text(
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
    SELECT tenant_id FROM (SELECT tenant_id, due_at FROM walked UNION ALL {_NOT_READY}) AS waiting
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
    tenant that is past WALKED_MAX in each of its queues nothing is said, if tenants had to be walked."""
    if q is None:
        met = {"limit": limit, "met_max": MET_MAX, "most": WALKED_MAX}
        found = (await session.execute(_MET, met)).all()
        if len(found) == limit or not any(one.more for one in found):
            return [one.tenant_id for one in found]
    values = {
        **wanted(q),
        "anyone": q is None,
        "limit": limit,
        "kinds": [kind.value for kind in JobKind],
        "priorities": [int(priority) for priority in Priority],
        "most": WALKED_MAX,
    }
    return (await session.execute(_WALKED, values)).scalars().all()
