"""What an id is of, wherever it was found. Across tenants, deleted recordings included."""

from uuid import UUID

from sqlalchemy import text

from models.db import Database

_WHAT = text(
    """
    SELECT 'job' WHERE EXISTS (SELECT FROM job WHERE id = :id) OR EXISTS (SELECT FROM job_history WHERE id = :id)
    UNION ALL SELECT 'recording' WHERE EXISTS (SELECT FROM recording WHERE id = :id)
    UNION ALL SELECT 'tenant' WHERE EXISTS (SELECT FROM tenant WHERE id = :id)
    UNION ALL SELECT 'recording' WHERE EXISTS (SELECT FROM job_history WHERE recording_id = :id)
    UNION ALL SELECT 'action' WHERE EXISTS (SELECT FROM action WHERE id = :id)
    LIMIT 1
    """
)


async def what(db: Database, id_: UUID) -> str | None:
    """`job`, `recording` (purged ones included), `tenant` or `action`; None when nothing has this id (any more)."""
    async with db.reading() as session:
        found: str | None = (await session.execute(_WHAT, {"id": id_})).scalar_one_or_none()
        return found
