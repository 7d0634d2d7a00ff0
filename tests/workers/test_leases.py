"""Leases: renewed while a job has time, never longer; a job that cannot be ended takes its process with it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import UUID

from sqlalchemy import text

from models import deletion, lifecycle
from models.db import Database
from models.ledger import Claim
from tests.factories import Deckhand, accepted, job_of
from workers.leases import Leases

LEASE_S = 0.6


@asynccontextmanager
async def renewing(
    database: Database, *, job_timeout_s: float, leave: Callable[[str], None] = lambda reason: None
) -> AsyncIterator[Leases]:
    leases = Leases(database, lease_s=LEASE_S, put_deadline_s=1, job_timeout_s=job_timeout_s, leave=leave)
    running = asyncio.create_task(leases.run())
    try:
        async with asyncio.timeout(30):
            yield leases
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def claimed(database: Database, hand: Deckhand) -> Claim:
    job = await job_of(database, await accepted(database, hand))
    assert job
    work = await lifecycle.claim(database, job.id, worker="a test", lease_s=LEASE_S, put_deadline_s=1)
    assert work
    return work.claim


async def left_s(database: Database, claim_id: UUID) -> float:
    query = text("SELECT extract(epoch FROM lease_until - clock_timestamp()) FROM job WHERE claim_id = :id")
    async with database.autocommit() as connection:
        return float((await connection.execute(query, {"id": claim_id})).scalar_one())


async def work_until_cancelled(leases: Leases, claim: Claim) -> None:
    async with leases.keep(claim, claimed_at=time.monotonic()):
        await asyncio.Event().wait()


async def test_a_lease_is_renewed_while_its_job_runs(database: Database, hand: Deckhand) -> None:
    claim = await claimed(database, hand)
    async with renewing(database, job_timeout_s=60) as leases:
        job = asyncio.create_task(work_until_cancelled(leases, claim))
        await asyncio.wait([job], timeout=3 * LEASE_S)
        assert not job.done()
        assert await left_s(database, claim.id) > 0
        job.cancel()


async def test_a_job_whose_claim_is_lost_is_cancelled(database: Database, hand: Deckhand) -> None:
    claim = await claimed(database, hand)
    await deletion.delete_recording(database, hand.tenant_id, claim.recording_id)
    async with renewing(database, job_timeout_s=60) as leases:
        job = asyncio.create_task(work_until_cancelled(leases, claim))
        await asyncio.wait([job])
        assert job.cancelled()


async def test_a_job_that_takes_too_long_loses_its_lease(database: Database, hand: Deckhand) -> None:
    claim = await claimed(database, hand)
    async with renewing(database, job_timeout_s=0.1) as leases:
        job = asyncio.create_task(work_until_cancelled(leases, claim))
        await asyncio.wait([job])
        assert job.cancelled()
        while await left_s(database, claim.id) > 0:
            await asyncio.sleep(0.02)


async def test_a_job_that_cannot_be_ended_ends_the_process(database: Database, hand: Deckhand) -> None:
    claim, left = await claimed(database, hand), asyncio.Event()

    async def hang(leases: Leases) -> None:
        async with leases.keep(claim, claimed_at=time.monotonic()):
            while not left.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await left.wait()

    async with renewing(database, job_timeout_s=0.1, leave=lambda reason: left.set()) as leases:
        await hang(leases)
    assert await left_s(database, claim.id) < 0
