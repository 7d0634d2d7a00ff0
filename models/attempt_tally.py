"""How many attempts ended: of each kind, by outcome, minute by minute. Counted in the transaction that ends them.

The diary (`models.attempt`) forgets attempts, those of a purge with their recording; the tally does not, for KEPT_DAYS.
"""

from datetime import datetime

from sqlalchemy import BigInteger, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel

from models import shards
from models.db import Database
from models.shards import gathering

KEPT_DAYS = 31


class AttemptTally(SQLModel, table=True):
    """Attempts that ended within a minute, by the session of Postgres that ended them (`models.shards`)."""

    __tablename__ = "attempt_tally"

    minute: datetime = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    outcome: str = Field(primary_key=True)
    shard: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    attempts: int = Field(sa_type=BigInteger)


COUNT_ENDED = """
    INSERT INTO attempt_tally AS tallied (minute, kind, outcome, shard, attempts)
    SELECT date_trunc('minute', ended.at, 'UTC'), ended.kind, ended.outcome, pg_backend_pid(), count(*)
    FROM ended GROUP BY 1, 2, 3
    ON CONFLICT (minute, kind, outcome, shard) DO UPDATE SET attempts = tallied.attempts + excluded.attempts
"""
"""The part of a statement that counts what `ended`: rows of `at`, `kind`, `outcome`."""

_COUNT = text(
    "WITH ended AS (SELECT CAST(:at AS timestamptz) AS at, CAST(:kind AS text) AS kind, CAST(:outcome AS text) AS outcome)"
    + COUNT_ENDED
)
_GATHER = gathering(
    "attempt_tally",
    ("minute", "kind", "outcome"),
    "attempts",
    "minute < date_trunc('minute', now() - interval '5 seconds', 'UTC')",
)
_PRUNE = text("DELETE FROM attempt_tally WHERE minute < now() - make_interval(days => :days)")


async def count(session: AsyncSession, at: datetime | None, kind: str, outcome: str) -> None:
    """An attempt at a job of this kind ended `at` this time."""
    await session.execute(_COUNT, {"at": at, "kind": kind, "outcome": str(outcome)})


async def gather(db: Database, *, limit: int) -> int:
    """Gather the tallies of minutes that are over. Returns how many rows it gathered."""
    return await shards.gather(db, _GATHER, limit=limit)


async def prune(db: Database, *, days: int = KEPT_DAYS) -> None:
    """Forget what is older."""
    async with db.autocommit() as connection:
        await connection.execute(_PRUNE, {"days": days})
