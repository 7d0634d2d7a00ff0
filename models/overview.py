"""The deck at a glance, across tenants, as it is now: what runs, who works, what is paused, limited or held back.

What it costs does not depend on how many jobs there are: they are counted by `models.figures`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text

from models import breakers, conservation, queues, workers
from models.breakers import Breaker
from models.conservation import BrokenHour
from models.db import Database
from models.job import JobKind
from models.lives import bounded
from models.queues import Queue
from models.workers import Worker


class Seen(NamedTuple):
    """One moment of the deck. Jobs that run, by their kind and by the name of the worker; hours that do not add up, the latest first."""

    now: datetime
    queues: Sequence[Queue]
    breakers: Sequence[Breaker]
    workers: Sequence[Worker]
    running: Mapping[JobKind, int]
    running_by: Mapping[str, int]
    broken: Sequence[BrokenHour]


_RUNNING = text("SELECT kind, worker, count(*) FROM job WHERE state = 'running' GROUP BY kind, worker")


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
            await workers.all_of(session),
            running,
            running_by,
            await conservation.all_broken(session),
        )
