"""What runs now, however much waits."""

from sqlalchemy import text

from models import overview
from models.db import Database
from tests.factories import Deckhand, accepted
from tests.models.steps import claimed


async def test_what_runs_is_listed_the_newest_claim_last(database: Database, hand: Deckhand) -> None:
    ids = [await accepted(database, hand) for _ in range(3)]
    works = [await claimed(database, id_) for id_ in reversed(ids)]
    await accepted(database, hand)
    running = await overview.running_jobs(database, limit=2)
    assert [one.id for one in running] == [work.claim.job_id for work in works[:2]]
    assert running[0].recording_id == ids[2]
    assert running[0].claimed_at <= running[1].claimed_at


async def test_what_waits_is_not_looked_at(database: Database) -> None:
    async with database.autocommit() as connection:
        explain = text(f"EXPLAIN {overview._RUNNING_JOBS.text}")
        plan = "\n".join(row[0] for row in await connection.execute(explain, {"limit": 9}))
    assert "ix_job_lease" in plan or "ix_job_at_work" in plan  # a window of what was rung for, at most
