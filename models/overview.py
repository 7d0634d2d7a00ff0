"""The deck at a glance, across tenants, as it is now: what runs, who works, what is paused, limited or held back.

What it costs does not depend on how many jobs there are: they are counted by `models.figures`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text

from models import breakers, conservation, processes, queues
from models.breakers import Breaker
from models.conservation import BrokenHour
from models.db import Database
from models.job import JobKind
from models.lives import bounded
from models.processes import Process, Role, is_gone
from models.queues import Queue


class Seen(NamedTuple):
    """One moment of the deck. Jobs that run, by their kind and by the name of the worker; hours that do not add up, the latest first."""

    now: datetime
    queues: Sequence[Queue]
    breakers: Sequence[Breaker]
    processes: Sequence[Process]
    running: Mapping[JobKind, int]
    running_by: Mapping[str, int]
    broken: Sequence[BrokenHour]

    @property
    def workers(self) -> Sequence[Process]:
        """The worker processes, those that are gone included."""
        return [one for one in self.processes if one.role is Role.WORKER]

    def present(self, role: Role) -> Sequence[Process]:
        """The processes of a role that were heard of lately."""
        return [one for one in self.processes if one.role is role and not is_gone(one, self.now)]


class RunningJob(NamedTuple):
    """What a worker does now."""

    id: UUID
    kind: JobKind
    recording_id: UUID
    worker: str
    claimed_at: datetime


_RUNNING = text("SELECT kind, worker, count(*) FROM job WHERE state = 'running' GROUP BY kind, worker")
_RUNNING_JOBS = text(
    """
    SELECT id, kind, recording_id, worker, claimed_at FROM job WHERE state = 'running'
    ORDER BY claimed_at, id LIMIT :limit
    """
)


async def seen(db: Database) -> Seen:
    """The deck as it is now. Raises TooCostly."""
    running: Counter[JobKind] = Counter()
    running_by: Counter[str] = Counter()
    async with bounded(db) as session:
        for kind, worker, count in await session.execute(_RUNNING):
            running[JobKind(kind)] += count
            running_by[worker] += count
        return Seen(
            (await session.execute(text("SELECT now()"))).scalar_one(),
            await queues.all_of(session),
            await breakers.all_of(session),
            await processes.all_of(session),
            running,
            running_by,
            await conservation.all_broken(session),
        )


async def running_jobs(db: Database, *, limit: int) -> Sequence[RunningJob]:
    """What workers do now, at most `limit` jobs: what runs for longest first. Raises TooCostly.

    A dead worker's jobs are among them until they are taken back.
    """
    async with bounded(db) as session:
        rows = await session.execute(_RUNNING_JOBS, {"limit": limit})
        return [RunningJob(id_, JobKind(kind), *rest) for id_, kind, *rest in rows]
