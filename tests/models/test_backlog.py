"""Whose work has waited for longest: the same by either way, and as the ledger says."""

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from models import backlog
from models.db import Database
from models.ids import new_id
from models.job import Job, JobKind, Priority

START = datetime(2026, 5, 4, tzinfo=UTC)
LEDGER = text(
    """
    SELECT tenant_id FROM job WHERE state = 'due' AND due_at <= now()
    GROUP BY tenant_id ORDER BY min(due_at), tenant_id LIMIT :limit
    """
)


async def a_backlog(db: Database, seed: int) -> None:
    """Jobs of some tenants, many due at the same time; ready, rung for, rung for in vain, scheduled, running, dead."""
    dice = random.Random(seed)
    tenants = [UUID(int=number) for number in range(1, 9)]
    soon, ago, later = [datetime.now(UTC) + timedelta(seconds=s) for s in (600, -600, 3600)]
    jobs = []
    for _ in range(60):
        job = Job(
            kind=dice.choice([JobKind.PROCESS, JobKind.RELATE]),
            tenant_id=dice.choice(tenants[: dice.randint(1, len(tenants))]),
            recording_id=new_id(),
            due_at=START + timedelta(seconds=dice.randint(0, 20)),
            priority=dice.choice(list(Priority)),
        )
        match dice.randint(0, 9):
            case 0:
                job.ring_at = soon
            case 1:
                job.ring_at = ago
            case 2:
                job.due_at = job.ring_at = later
            case 3:
                job.state, job.lease_until = "running", soon
            case 4:
                job.state = "dead"
        jobs.append(job)
    async with db.transaction() as session:
        session.add_all(jobs)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("met_max", [1, 7, 20, 1000])
async def test_who_has_waited_for_longest_comes_first(
    database: Database, monkeypatch: pytest.MonkeyPatch, seed: int, met_max: int
) -> None:
    monkeypatch.setattr(backlog, "MET_MAX", met_max)
    await a_backlog(database, seed)
    async with database.transaction() as session:
        for limit in (1, 3, 100):
            expected = (await session.execute(LEDGER, {"limit": limit})).scalars().all()
            assert list(await backlog.waiting_longest(session, None, limit=limit)) == expected
        assert len(expected) > 1


async def test_when_nothing_waits_nobody_does(database: Database) -> None:
    async with database.transaction() as session:
        assert await backlog.waiting_longest(session, None, limit=5) == []
