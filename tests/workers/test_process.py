"""The job `process`: what it puts, and what it must not put."""

import pytest
from sqlalchemy import text

from models import lifecycle, sweep
from models.db import Database
from models.ledger import ClaimLost
from models.lifecycle import Work
from models.recording import Status
from tests.factories import Deckhand, accepted, job_of, recording
from workers.process import process
from workers.tools import Tools


async def claimed(database: Database, hand: Deckhand) -> Work:
    job = await job_of(database, await accepted(database, hand))
    assert job
    work = await lifecycle.claim(database, job.id, worker="a test", lease_s=60, put_deadline_s=10)
    assert work
    return work


async def test_a_payload_becomes_a_tape_and_a_sidecar(
    tools: Tools, database: Database, hand: Deckhand
) -> None:
    work = await claimed(database, hand)
    await process(work, tools)
    found = await recording(database, work.claim.recording_id)
    assert found
    assert found.status is Status.READY
    for name in work.objects.values():
        assert await tools.storage.stat(name)


async def test_a_worker_that_thaws_after_its_lease_puts_nothing(
    tools: Tools, database: Database, hand: Deckhand
) -> None:
    work = await claimed(database, hand)
    async with database.transaction() as session:
        await session.execute(text("UPDATE job SET lease_until = now() - interval '1 second'"))
        await session.execute(text("UPDATE object SET expires_at = now() - interval '1 second'"))
    names = await sweep.take_expired_objects(database, limit=10)
    await sweep.forget_objects(database, names)
    with pytest.raises(ClaimLost):
        await process(work, tools)
    for name in names:
        assert await tools.storage.stat(name) is None  # nobody knows of it any more: nobody would delete it
