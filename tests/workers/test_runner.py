"""The runner: one job from its message to its end, whatever happens on the way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

from sqlalchemy import text

from models.db import Database
from models.job import JobState
from models.recording import FailureCode, Status
from settings import Settings
from tests.factories import Deckhand, accepted, events, job_of, recording, upload
from workers.leases import Leases
from workers.runner import Runner
from workers.tools import Tools


@asynccontextmanager
async def running(config: Settings, tools: Tools) -> AsyncIterator[Runner]:
    limits = {"lease_s": config.lease_s, "put_deadline_s": 10, "job_timeout_s": config.job_timeout_s}
    leases = Leases(tools.db, **limits, leave=lambda reason: None)
    renewal = asyncio.create_task(leases.run())
    yield Runner(config, tools, leases)
    renewal.cancel()


async def due(database: Database, hand: Deckhand, body: bytes | None = None) -> tuple[UUID, UUID]:
    """A recording and its job."""
    id_ = await accepted(database, hand, body)
    job = await job_of(database, id_)
    assert job
    return id_, job.id


async def state(database: Database, recording_id: UUID) -> JobState | None:
    job = await job_of(database, recording_id)
    return job.state if job else None


async def until_state(database: Database, recording_id: UUID, wanted: JobState) -> None:
    async with asyncio.timeout(30):
        while await state(database, recording_id) is not wanted:
            await asyncio.sleep(0.01)


async def test_a_message_that_comes_twice_runs_once(
    config: Settings, tools: Tools, database: Database, hand: Deckhand
) -> None:
    id_, job_id = await due(database, hand)
    async with running(config, tools) as runner:
        await asyncio.gather(runner.run(job_id), runner.run(job_id))
        await runner.run(job_id)
    found = await recording(database, id_)
    assert found
    assert found.status is Status.READY
    async with database.autocommit() as connection:
        assert (await connection.execute(text("SELECT attempts FROM job_history"))).scalars().all() == [1]


async def test_a_job_that_waits_is_handed_back_by_a_drain(
    config: Settings, tools: Tools, database: Database, hand: Deckhand
) -> None:
    id_, job_id = await due(database, hand)
    async with running(config, tools) as runner, tools.planning:
        job = asyncio.create_task(runner.run(job_id))
        await until_state(database, id_, JobState.RUNNING)
        await runner.drain(0)
        await job
        assert await state(database, id_) is JobState.DUE
        await runner.run(job_id)  # it begins no more
        assert await state(database, id_) is JobState.DUE


async def test_a_job_that_is_just_being_claimed_is_handed_back_by_a_drain(
    config: Settings, tools: Tools, database: Database, hand: Deckhand
) -> None:
    id_, job_id = await due(database, hand)
    waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"
    async with running(config, tools) as runner:
        async with database.transaction() as session:
            await session.execute(text("SELECT FROM recording FOR UPDATE"))
            job = asyncio.create_task(runner.run(job_id))
            async with asyncio.timeout(30):
                while not (await session.execute(text(waits))).scalar_one():
                    await session.execute(text("SELECT pg_stat_clear_snapshot()"))
            await runner.drain(0)
        await job
    handed_back = await job_of(database, id_)
    assert handed_back
    assert (handed_back.state, handed_back.attempts, handed_back.losses) == (JobState.DUE, 0, 0)
    assert handed_back.claimed_at is None


async def test_a_drain_stops_planning_and_frees_what_it_held(
    config: Settings, tools: Tools, database: Database, hand: Deckhand
) -> None:
    id_, job_id = await due(database, hand, upload(events(60_000)))
    async with running(config, tools) as runner:
        job = asyncio.create_task(runner.run(job_id))
        async with asyncio.timeout(30):
            while not tools.planning.locked():
                await asyncio.sleep(0)
        await runner.drain(0)
        await job
    assert not tools.planning.locked()
    assert await state(database, id_) is JobState.DUE


async def test_a_job_that_takes_too_long_is_a_loss(
    config: Settings, tools: Tools, database: Database, hand: Deckhand
) -> None:
    hasty = config.model_copy(update={"job_timeout_s": 0.1})
    id_, job_id = await due(database, hand)
    async with running(hasty, tools) as runner, tools.planning:
        await runner.run(job_id)
    job = await job_of(database, id_)
    assert job
    assert (job.state, job.attempts, job.losses) == (JobState.DUE, 0, 1)
    assert job.error_code == FailureCode.WORKER_LOST


async def test_a_job_that_gets_no_turn_is_handed_back(
    config: Settings, tools: Tools, database: Database, hand: Deckhand
) -> None:
    id_, job_id = await due(database, hand)
    tools = replace(tools, job_timeout_s=0.2)
    async with running(config, tools) as runner, tools.planning:
        await runner.run(job_id)
    job = await job_of(database, id_)
    assert job
    assert (job.state, job.attempts, job.losses, job.outages) == (JobState.DUE, 0, 0, 0)


async def test_a_job_whose_recording_is_deleted_meanwhile_ends_quietly(
    config: Settings, tools: Tools, database: Database, hand: Deckhand
) -> None:
    hasty = config.model_copy(update={"lease_s": 1})
    id_, job_id = await due(database, hand)
    async with running(hasty, tools) as runner, tools.planning:
        job = asyncio.create_task(runner.run(job_id))
        await until_state(database, id_, JobState.RUNNING)
        async with database.transaction() as session:
            await session.execute(text("DELETE FROM job"))
        async with asyncio.timeout(30):
            await job
