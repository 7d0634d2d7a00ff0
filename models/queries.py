"""What people read of recordings. Each query names the tenant and sees nothing that was deleted."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from models.db import Database
from models.recording import Recording, Status
from models.tenancy import Project, hash_secret, privacy_of
from replay.privacy import Privacy

_KEY_RIGHTS = """
    SELECT api_key.id, api_key.tenant_id, project_id, user_id, scopes, masking, mask_rules, ip_addresses
    FROM api_key JOIN project ON project.id = api_key.project_id
    WHERE secret_hash = $1 AND revoked_at IS NULL
"""

_PLAYABLE = """
    SELECT status, is_open, failure_code, sidecar_name, tape.name, tape.index
    FROM recording LEFT JOIN tape ON tape.recording_id = recording.id
    WHERE recording.id = $1 AND tenant_id = $2 AND deleted_at IS NULL
"""

_STATUSES = "SELECT id, status FROM recording WHERE id = ANY($1::uuid[]) AND deleted_at IS NULL"


class KeyRights(NamedTuple):
    """Whose an API key is, and what it may do."""

    id: UUID
    tenant_id: UUID
    project_id: UUID
    user_id: UUID
    scopes: Sequence[str]
    privacy: Privacy


class Playable(NamedTuple):
    """What there is to read of a recording. Without a tape: nothing yet, or nothing ever if it failed."""

    status: Status
    is_open: bool
    failure_code: str | None
    sidecar_name: str | None
    tape_name: str | None
    tape_index: bytes | None


@dataclass(frozen=True)
class Filters:
    """Which recordings a list shows; None: any."""

    project_id: UUID | None = None
    status: Status | None = None
    session_id: str | None = None
    fingerprint: str | None = None


async def recording(db: Database, tenant_id: UUID, recording_id: UUID) -> Recording | None:
    """One recording, or None."""
    wanted = select(Recording).where(
        col(Recording.id) == recording_id,
        col(Recording.tenant_id) == tenant_id,
        col(Recording.deleted_at).is_(None),
    )
    async with db.reading() as session:
        return (await session.execute(wanted)).scalar_one_or_none()


async def any_recording(db: Database, recording_id: UUID) -> Recording | None:
    """One recording of any tenant, or None. For jobs."""
    wanted = select(Recording).where(col(Recording.id) == recording_id, col(Recording.deleted_at).is_(None))
    async with db.reading() as session:
        return (await session.execute(wanted)).scalar_one_or_none()


async def recordings(
    db: Database, tenant_id: UUID, filters: Filters, *, limit: int, before: UUID | None
) -> Sequence[Recording]:
    """Up to `limit` recordings, newest first, older than the id `before` (a keyset cursor: ids sort by time)."""
    wanted = select(Recording).where(
        col(Recording.tenant_id) == tenant_id, col(Recording.deleted_at).is_(None)
    )
    for name, value in vars(filters).items():
        if value is not None:
            wanted = wanted.where(getattr(Recording, name) == value)
    if before is not None:
        wanted = wanted.where(col(Recording.id) < before)
    async with db.reading() as session:
        return (await session.execute(wanted.order_by(col(Recording.id).desc()).limit(limit))).scalars().all()


async def playable(db: Database, tenant_id: UUID, recording_id: UUID) -> Playable | None:
    """What a reader of this tenant may read of a recording; None when there is no such recording."""
    async with db.driver() as connection:
        found = await connection.fetchrow(_PLAYABLE, recording_id, tenant_id)
    return None if found is None else Playable(Status(found[0]), *found[1:])


async def statuses(db: Database, recording_ids: Collection[UUID]) -> dict[UUID, Status]:
    """The status of each of these recordings that still exists."""
    async with db.driver() as connection:
        found = await connection.fetch(_STATUSES, list(recording_ids))
    return {row["id"]: Status(row["status"]) for row in found}


async def api_key(db: Database, secret: str) -> KeyRights | None:
    """What the key with this secret opens; None when there is none, or it was revoked."""
    async with db.driver() as connection:
        found = await connection.fetchrow(_KEY_RIGHTS, hash_secret(secret))
    if found is None:
        return None
    id_, tenant_id, project_id, user_id, scopes, masking, rules, ip_addresses = found
    privacy = privacy_of(masking, rules, ip_addresses)
    return KeyRights(id_, tenant_id, project_id, user_id, scopes, privacy)


async def privacy(db: Database, tenant_id: UUID, project_id: UUID) -> Privacy | None:
    """What decides what is masked of this project's recordings; None when the tenant has no such project."""
    wanted = select(Project).where(col(Project.id) == project_id, col(Project.tenant_id) == tenant_id)
    async with db.reading() as session:
        project = (await session.execute(wanted)).scalar_one_or_none()
    return None if project is None else project.privacy
