"""The processes of a deck: a row for each, written by itself every few seconds, and what an operator asks of workers there.

    working ──drain──▶ draining: begins no more jobs, lets those that run finish, and stays ──resume──▶ working

As "quiet" of Sidekiq: the worker is still there, idle in the end, and may be stopped at no cost. A process that starts
again is another one, and works. What a worker runs now are the jobs whose `worker` has its name.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ARRAY, Text, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from models.columns import enum_type
from models.db import Database

HEARTBEAT_S = 2.0
ABSENT_S = 30.0
"""A role that nobody has filled for so long was absent: shorter, and it was a restart."""
GONE_S = 60.0
"""A process that has not written its row for so long has ended, or cannot reach Postgres: its leases are over, too."""


class Role(StrEnum):
    """What a process does."""

    WEB = "web"
    WORKER = "worker"
    DISPATCHER = "dispatcher"


class Process(SQLModel, table=True):
    """A process. Of a worker, `name` is what `job.worker` says; `heartbeat_at` is when it last said that it is there.

    `kinds`: those of the jobs that it runs, none but a worker's; `threads`: how many of them at once.
    """

    __tablename__ = "process"

    id: UUID = Field(primary_key=True)
    role: Role = Field(sa_type=enum_type(Role))
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


class Presence(SQLModel, table=True):
    """Whether there was a process of a role all the time: when one was there last, and came back after an absence last.
    Noted of `web` only: while it is absent, clients reach nobody."""

    __tablename__ = "presence"

    role: Role = Field(sa_type=enum_type(Role), primary_key=True)
    seen_at: datetime = Field(default=None, sa_column_kwargs={"server_default": text("now()")})
    back_at: datetime | None = None


_SEEN = text(
    """
    INSERT INTO presence (role) VALUES (:role)
    ON CONFLICT (role) DO UPDATE SET seen_at = now(), back_at = CASE
        WHEN presence.seen_at < now() - make_interval(secs => :absent_s) THEN now() ELSE presence.back_at END
    """
)
_BEAT = text(
    """
    INSERT INTO process (id, role, name, host, pid, version, kinds, threads)
    VALUES (:id, :role, :name, :host, :pid, :version, :kinds, :threads)
    ON CONFLICT (id) DO UPDATE SET heartbeat_at = now()
    RETURNING draining_at IS NOT NULL
    """
)


async def beat(db: Database, me: Process) -> bool:
    """Say that this process is there. Returns whether it is to begin no more jobs."""
    mine = me.model_dump(include={"id", "role", "name", "host", "pid", "version", "kinds", "threads"})
    async with db.autocommit() as connection:
        if me.role is Role.WEB:
            await connection.execute(_SEEN, {"role": me.role.value, "absent_s": ABSENT_S})
        return bool((await connection.execute(_BEAT, mine)).scalar_one())


async def leave(db: Database, process_id: UUID) -> None:
    """This process ends."""
    async with db.autocommit() as connection:
        await connection.execute(text("DELETE FROM process WHERE id = :id"), {"id": process_id})


async def all_of(session: AsyncSession, role: Role | None = None) -> Sequence[Process]:
    """The processes that there are, or those of a role, the oldest first."""
    wanted = select(Process).order_by(col(Process.started_at), col(Process.id))
    if role is not None:
        wanted = wanted.where(col(Process.role) == role)
    return (await session.execute(wanted)).scalars().all()


async def drain(session: AsyncSession, worker_id: UUID, by: str) -> bool:
    """Have a worker begin no more jobs, within seconds. False when there is none, or it was told before."""
    return await _set(session, worker_id, drain=True, by=by)


async def resume(session: AsyncSession, worker_id: UUID) -> bool:
    """Have a worker that drains work again. False when there is none, or it works."""
    return await _set(session, worker_id, drain=False, by=None)


async def _set(session: AsyncSession, worker_id: UUID, *, drain: bool, by: str | None) -> bool:
    is_working = col(Process.draining_at).is_(None)
    changed = (
        update(Process)
        .where(
            col(Process.id) == worker_id,
            col(Process.role) == Role.WORKER,
            is_working if drain else ~is_working,
        )
        .values(draining_at=func.now() if drain else None, draining_by=by)
        .returning(col(Process.id))
    )
    return (await session.execute(changed)).first() is not None


async def forget_gone(db: Database) -> Sequence[tuple[Role, str]]:
    """Forget processes that are gone. Returns their roles and names."""
    gone = text(
        "DELETE FROM process WHERE heartbeat_at < now() - make_interval(secs => :gone_s) RETURNING role, name"
    )
    async with db.autocommit() as connection:
        rows = await connection.execute(gone, {"gone_s": GONE_S})
        return [(Role(role), name) for role, name in rows]


def is_gone(process: Process, now: datetime) -> bool:
    """Whether it has not been heard of for so long that it has ended."""
    return (now - process.heartbeat_at).total_seconds() > GONE_S
