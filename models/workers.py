"""Worker processes: a row for each, written by itself every few seconds, and what an operator asks of it.

    working ──drain──▶ draining: begins no more jobs, lets those that run finish, and stays ──resume──▶ working

As "quiet" of Sidekiq: the process is still there, idle in the end, and may be stopped at no cost. A process that starts
again is another one, and works. What one runs now are the jobs whose `worker` has its name.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, Text, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from models.db import Database

HEARTBEAT_S = 2.0
GONE_S = 60.0
"""A process that has not written its row for so long has ended, or cannot reach Postgres: its leases are over, too."""


class Worker(SQLModel, table=True):
    """A worker process. `name` is what `job.worker` says; `heartbeat_at` when it last said that it is there."""

    __tablename__ = "worker"

    id: UUID = Field(primary_key=True)
    name: str
    host: str
    pid: int
    version: str
    kinds: list[str] = Field(sa_type=ARRAY(Text))
    threads: int
    started_at: datetime = Field(default=None, sa_column_kwargs={"server_default": text("now()")})
    heartbeat_at: datetime = Field(default=None, sa_column_kwargs={"server_default": text("now()")})
    draining_at: datetime | None = None
    draining_by: str | None = None


_BEAT = text(
    """
    INSERT INTO worker (id, name, host, pid, version, kinds, threads)
    VALUES (:id, :name, :host, :pid, :version, :kinds, :threads)
    ON CONFLICT (id) DO UPDATE SET heartbeat_at = now()
    RETURNING draining_at IS NOT NULL
    """
)


async def beat(db: Database, me: Worker) -> bool:
    """Say that this process is there. Returns whether it is to begin no more jobs."""
    mine = me.model_dump(include={"id", "name", "host", "pid", "version", "kinds", "threads"})
    async with db.autocommit() as connection:
        return bool((await connection.execute(_BEAT, mine)).scalar_one())


async def leave(db: Database, worker_id: UUID) -> None:
    """This process ends."""
    async with db.autocommit() as connection:
        await connection.execute(text("DELETE FROM worker WHERE id = :id"), {"id": worker_id})


async def all_of(session: AsyncSession) -> Sequence[Worker]:
    """The processes that there are, the oldest first."""
    return (await session.execute(select(Worker).order_by(col(Worker.started_at)))).scalars().all()


async def drain(session: AsyncSession, worker_id: UUID, by: str) -> bool:
    """Have a process begin no more jobs, within seconds. False when there is none, or it was told before."""
    return await _set(session, worker_id, drain=True, by=by)


async def resume(session: AsyncSession, worker_id: UUID) -> bool:
    """Have a process that drains work again. False when there is none, or it works."""
    return await _set(session, worker_id, drain=False, by=None)


async def _set(session: AsyncSession, worker_id: UUID, *, drain: bool, by: str | None) -> bool:
    is_working = col(Worker.draining_at).is_(None)
    changed = (
        update(Worker)
        .where(col(Worker.id) == worker_id, is_working if drain else ~is_working)
        .values(draining_at=func.now() if drain else None, draining_by=by)
        .returning(col(Worker.id))
    )
    return (await session.execute(changed)).first() is not None


async def forget_gone(db: Database) -> Sequence[str]:
    """Forget processes that are gone. Returns their names."""
    gone = text(
        "DELETE FROM worker WHERE heartbeat_at < now() - make_interval(secs => :gone_s) RETURNING name"
    )
    async with db.autocommit() as connection:
        return (await connection.execute(gone, {"gone_s": GONE_S})).scalars().all()
