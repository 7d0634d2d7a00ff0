"""The queues at a glance, across tenants: what waits, runs and died, for how long, and what holds it back."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text

from models import breakers, queues, workers
from models.breakers import Breaker
from models.db import Database
from models.job import JobKind
from models.lives import bounded
from models.queues import Queue
from models.workers import Worker


class Load(NamedTuple):
    """What there is of a kind. `oldest_due_at`: since when the longest of those that are due has been."""

    due: int = 0
    scheduled: int = 0
    running: int = 0
    dead: int = 0
    oldest_due_at: datetime | None = None


class Seen(NamedTuple):
    """One moment of the deck."""

    now: datetime
    loads: dict[JobKind, Load]
    queues: Sequence[Queue]
    breakers: Sequence[Breaker]
    workers: Sequence[Worker]


_LOADS = text(
    """
    SELECT kind, count(*) FILTER (WHERE state = 'due' AND due_at <= now()),
           count(*) FILTER (WHERE state = 'due' AND due_at > now()),
           count(*) FILTER (WHERE state = 'running'), count(*) FILTER (WHERE state = 'dead'),
           min(due_at) FILTER (WHERE state = 'due' AND due_at <= now())
    FROM job GROUP BY kind
    """
)


async def seen(db: Database) -> Seen:
    """The deck as it is now. Raises TooCostly."""
    async with bounded(db) as session:
        loads = {JobKind(kind): Load(*load) for kind, *load in await session.execute(_LOADS)}
        now = (await session.execute(text("SELECT now()"))).scalar_one()
        return Seen(
            now,
            loads,
            await queues.all_of(session),
            await breakers.all_of(session),
            await workers.all_of(session),
        )


_RUNNING = text(
    "SELECT worker, count(*) FROM job WHERE state = 'running' AND worker IS NOT NULL GROUP BY worker"
)


async def running_by_worker(db: Database) -> dict[str, int]:
    """How many jobs each worker runs, by its name."""
    async with bounded(db) as session:
        return {row.worker: int(row[1]) for row in await session.execute(_RUNNING)}
