"""The life of a recording, and failures in groups: what operators read. Across tenants, deleted recordings included.

Each query is bounded: by a page, by a window of time, and by a statement timeout; past that it raises TooCostly.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from models.db import Database

LIFE_MAX = 1000
GROUPS_MAX = 200
COST_LIMIT_S = 5.0
_CUT_SHORT = "57014"


class TooCostly(Exception):
    """The question would take too long: narrow it."""


class Moment(NamedTuple):
    """One thing that began in a recording's life. `to` is when it ended; null while it goes on, or what only happens."""

    at: Any
    to: Any
    what: str
    id: str
    name: str
    state: str
    detail: str | None


class Life(NamedTuple):
    """`moments` in their order; `more`: the later ones are left out."""

    tenant_id: UUID
    status: str
    deleted_at: Any
    moments: Sequence[Moment]
    more: bool


class Group(NamedTuple):
    """Attempts that failed alike."""

    fingerprint: str
    kind: str
    error_code: str | None
    place: str | None
    attempts: int
    jobs: int
    recordings: int
    tenants: int
    first_at: Any
    last_at: Any
    sample: str | None
    traceback: str | None
    sample_job: UUID


_RECORDING = text("SELECT tenant_id, status, deleted_at FROM recording WHERE id = :id")

_MOMENTS = text(
    """
    SELECT * FROM (
        SELECT at, lead(at) OVER (ORDER BY at) AS to, 'status' AS what, '' AS id, status AS name, why AS state,
               NULL::text AS detail, 0 AS place
        FROM status_change WHERE recording_id = :id
        UNION ALL
        SELECT created_at, finished_at, 'job', id::text, kind, state, error_code, 1 FROM job WHERE recording_id = :id
        UNION ALL
        SELECT created_at, finished_at, 'job', id::text, kind, state, error_code, 1
        FROM job_history WHERE recording_id = :id
        UNION ALL
        SELECT started_at, ended_at, 'attempt', job_id::text || '/' || number, kind, coalesce(outcome, 'running'), error, 2
        FROM attempt WHERE recording_id = :id
        UNION ALL
        SELECT created_at, NULL, 'object', name, kind, state, NULL, 3 FROM object WHERE recording_id = :id
    ) AS moments ORDER BY at, place LIMIT :limit
    """
)

_GROUPS = text(
    """
    SELECT grouped.*, sample.error, sample.traceback, sample.job_id FROM (
        SELECT fingerprint, min(kind) AS kind, min(error_code) AS error_code, min(place) AS place, count(*) AS count,
               count(DISTINCT job_id) AS jobs, count(DISTINCT recording_id) AS recordings,
               count(DISTINCT tenant_id) AS tenants, min(ended_at) AS first_at, max(ended_at) AS last_at
        FROM attempt
        WHERE fingerprint IS NOT NULL AND ended_at > now() - make_interval(secs => :since_s)
          AND (CAST(:kind AS text) IS NULL OR kind = :kind)
          AND (CAST(:tenant_id AS uuid) IS NULL OR tenant_id = :tenant_id)
          AND (CAST(:fingerprint AS text) IS NULL OR fingerprint = :fingerprint)
        GROUP BY fingerprint ORDER BY count(*) DESC, fingerprint LIMIT :limit
    ) AS grouped
    CROSS JOIN LATERAL (
        SELECT error, traceback, job_id FROM attempt
        WHERE attempt.fingerprint = grouped.fingerprint AND attempt.ended_at = grouped.last_at LIMIT 1
    ) AS sample
    ORDER BY grouped.count DESC, grouped.fingerprint
    """
)


@asynccontextmanager
async def bounded(db: Database, limit_s: float = COST_LIMIT_S) -> AsyncIterator[AsyncSession]:
    """A transaction whose statements may take `limit_s` seconds each. Raises TooCostly."""
    try:
        async with db.transaction() as session:
            await session.execute(text(f"SET LOCAL statement_timeout = {max(1, int(limit_s * 1000))}"))
            yield session
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _CUT_SHORT:
            raise TooCostly from None
        raise


async def now(db: Database) -> datetime:
    """What Postgres's clock says."""
    async with db.autocommit() as connection:
        moment: datetime = (await connection.execute(text("SELECT clock_timestamp()"))).scalar_one()
        return moment


async def life_of(db: Database, recording_id: UUID, *, limit: int = LIFE_MAX) -> Life | None:
    """Everything that happened to a recording, in its order; None when there is none (any more)."""
    async with bounded(db) as session:
        found = (await session.execute(_RECORDING, {"id": recording_id})).one_or_none()
        if found is None:
            return None
        rows = (await session.execute(_MOMENTS, {"id": recording_id, "limit": limit + 1})).all()
    moments = [Moment(*row[:7]) for row in rows[:limit]]
    return Life(found.tenant_id, found.status, found.deleted_at, moments, len(rows) > limit)


async def failures(db: Database, values: Mapping[str, Any], *, since_s: float, limit: int) -> Sequence[Group]:
    """The most frequent ways of failing of the last `since_s` seconds. `values`: kind, tenant_id, fingerprint, or None."""
    asked = {name: values.get(name) for name in ("kind", "tenant_id", "fingerprint")}
    async with bounded(db) as session:
        rows = await session.execute(_GROUPS, {**asked, "since_s": since_s, "limit": limit})
        return [Group(*row) for row in rows]
