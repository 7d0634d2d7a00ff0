"""Figures of the whole deck: what is counted in passing is what counting it by itself would tell."""

import random
from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import pytest
from sqlalchemy import text

from models.db import Database
from models.figures import figures
from models.ids import new_id
from models.job import Job, JobKind, JobState, Priority

UNFINISHED = text(
    """
    SELECT count(DISTINCT recording_id) FROM job WHERE state IN ('due', 'running')
      AND (kind IN ('process', 'verify_video') OR (kind = 'relate' AND priority = 0))
    """
)
COUNTS = text("SELECT kind, count(*) AS jobs FROM job GROUP BY kind")


@pytest.mark.parametrize("seed", range(4))
async def test_recordings_that_wait_are_counted_once_whatever_they_wait_for(
    database: Database, seed: int
) -> None:
    dice = random.Random(seed)
    now = datetime.now(UTC)
    jobs = [
        Job(
            kind=kind,
            state=dice.choice([JobState.DUE, JobState.RUNNING, JobState.DEAD]),
            tenant_id=UUID(int=1),
            recording_id=recording,
            priority=dice.choice(list(Priority)),
            due_at=now + timedelta(seconds=dice.choice([-60, 60])),
            finished_at=now,
        )
        for recording, kind in product([new_id() for _ in range(20)], JobKind)
        if dice.random() < 0.4
    ]
    async with database.transaction() as session:
        session.add_all(jobs)
        await session.flush()
        unfinished = (await session.execute(UNFINISHED)).scalar_one()
        by_kind = {row.kind: row.jobs for row in await session.execute(COUNTS)}
    seen = await figures(database)
    assert seen.unfinished == unfinished > 0
    assert seen.size == len(jobs)
    told = {kind: sum(one.count for one in seen.jobs if one.kind == kind) for kind in by_kind}
    assert told == by_kind


async def test_without_jobs_nothing_waits(database: Database) -> None:
    seen = await figures(database)
    assert (seen.unfinished, seen.size) == (0, 0)
