"""Whose a recording is, by name; and whose one was that is no more."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text

from models.db import Database
from models.job import JobKind, JobState


class Names(NamedTuple):
    """What a tenant and a project of it are called."""

    tenant: str
    project: str


class Purged(NamedTuple):
    """A recording of which nothing is left since `at`, but the history of its jobs."""

    tenant_id: UUID
    tenant: str
    at: datetime


_NAMES = text(
    "SELECT tenant.name, project.name FROM project JOIN tenant ON tenant.id = tenant_id WHERE project.id = :id"
)

_PURGED = text(
    f"""
    SELECT tenant_id, tenant.name, finished_at FROM job_history JOIN tenant ON tenant.id = tenant_id
    WHERE recording_id = :id AND kind = '{JobKind.PURGE}' AND state = '{JobState.DONE}'
    ORDER BY finished_at DESC LIMIT 1
    """  # noqa: S608  # constants only
)


async def names(db: Database, project_id: UUID) -> Names:
    """Of a project that there is."""
    async with db.autocommit() as connection:
        return Names(*(await connection.execute(_NAMES, {"id": project_id})).one())


async def purged(db: Database, recording_id: UUID) -> Purged | None:
    """Whose recording that was; None when none was purged, or longer ago than history goes back."""
    async with db.autocommit() as connection:
        found = (await connection.execute(_PURGED, {"id": recording_id})).one_or_none()
    return None if found is None else Purged(*found)
