"""A worker process says that it is there, and begins nothing while an operator wants it quiet."""

import asyncio
import os
import signal
from collections.abc import Callable
from uuid import uuid4

from sqlalchemy import text

from models import processes
from models.db import Database
from models.heartbeat import Heartbeat
from models.job import JobKind, JobState
from models.processes import Process, Role
from settings import Settings
from tests.deck import Deck
from tests.factories import Deckhand, accepted, job_of
from tests.promise.dust import IN_A_HURRY, send, settled
from tests.workers.test_runner import running
from workers.actors import message_for, redis_broker
from workers.tools import Tools


async def there(db: Database) -> list[Process]:
    async with db.transaction() as session:
        return list(await processes.all_of(session, Role.WORKER))


async def drain(db: Database, by: str = "alice") -> list[bool]:
    async with db.transaction() as session:
        return [
            await processes.drain(session, one.id, by) for one in await processes.all_of(session, Role.WORKER)
        ]


async def resume(db: Database) -> list[bool]:
    async with db.transaction() as session:
        return [
            await processes.resume(session, one.id) for one in await processes.all_of(session, Role.WORKER)
        ]


async def test_a_process_is_there_until_it_ends_and_does_what_it_is_told(database: Database) -> None:
    said: list[bool] = []
    heartbeat = Heartbeat(database, Role.WORKER, kinds=["relate", "process"], threads=4, quiet=said.append)
    await heartbeat.beat()
    (one,) = await there(database)
    assert (one.pid, one.kinds, one.threads, one.draining_at) == (os.getpid(), ["process", "relate"], 4, None)
    assert (await drain(database), await drain(database, "bob")) == ([True], [False])
    await heartbeat.beat()
    await heartbeat.beat()
    (one,) = await there(database)
    assert one.draining_by == "alice"
    assert (await resume(database), await resume(database)) == ([True], [False])
    await heartbeat.beat()
    assert said == [True, False]
    await heartbeat.end()
    assert await there(database) == []


async def test_a_process_that_is_gone_is_forgotten(database: Database) -> None:
    gone, alive = [
        Heartbeat(database, Role.WORKER, kinds=[], threads=1, quiet=lambda _: None) for _ in range(2)
    ]
    await gone.beat()
    async with database.transaction() as session:
        await session.execute(text("UPDATE process SET heartbeat_at = now() - interval '1 hour'"))
    await alive.beat()
    assert len(await processes.forget_gone(database)) == 1
    assert len(await there(database)) == 1
    await gone.beat()  # it was only frozen
    assert len(await there(database)) == 2


async def test_every_process_of_a_deck_is_there_until_it_ends(
    make_deck: Callable[..., Deck], database: Database
) -> None:
    deck = make_deck()
    await deck.start()

    async def roles() -> set[Role]:
        async with database.transaction() as session:
            return {one.role for one in await processes.all_of(session)}

    while await roles() != set(Role):
        await asyncio.sleep(0.05)
    for name, role in (("dispatcher", Role.DISPATCHER), ("web", Role.WEB), ("worker", Role.WORKER)):
        deck.kill(name, signal.SIGTERM)
        while role in await roles():
            await asyncio.sleep(0.05)
    assert await roles() == set()


async def test_only_workers_drain(database: Database) -> None:
    web = Heartbeat(database, Role.WEB)
    await web.beat()
    async with database.transaction() as session:
        (one,) = await processes.all_of(session)
        assert not await processes.drain(session, one.id, "alice")
    await web.end()


async def test_a_quiet_runner_hands_back_what_was_fetched_before(
    config: Settings, tools: Tools, database: Database, hand: Deckhand
) -> None:
    id_ = await accepted(database, hand)
    job = await job_of(database, id_)
    assert job
    async with database.transaction() as session:
        await session.execute(text("UPDATE job SET ring_at = now() + interval '1 hour'"))
    async with running(config, tools) as runner:
        runner.is_quiet = True
        await runner.run(job.id)
        waits = await job_of(database, id_)
        assert waits
        assert (waits.state, waits.attempts, waits.ring_at) == (JobState.DUE, 0, None)
        runner.is_quiet = False
        await runner.run(job.id)
    assert await job_of(database, id_) is None


def test_a_quiet_broker_leaves_what_is_there_to_others(redis_url: str) -> None:
    quiet, other = redis_broker(redis_url, []), redis_broker(redis_url, [])
    for broker in (quiet, other):
        broker.declare_queue(JobKind.PROCESS.value)
    quiet.is_quiet = True
    quiet.enqueue(message_for(JobKind.PROCESS, uuid4()))
    assert next(quiet.consume(JobKind.PROCESS.value, timeout=1)) is None
    assert next(other.consume(JobKind.PROCESS.value, timeout=1)) is not None
    quiet.flush_all()
    for broker in (quiet, other):
        broker.close()


async def test_a_worker_that_drains_stays_and_begins_nothing(
    make_deck: Callable[..., Deck], database: Database
) -> None:
    deck = make_deck(**IN_A_HURRY)
    await deck.start()
    while not await there(database):
        await asyncio.sleep(0.05)
    while deck.log("worker").count("worker_drains") < len(await there(database)):
        await drain(database)
        await asyncio.sleep(0.05)
    async with deck.client() as client:
        ids = [await send(client) for _ in range(3)]
        async with database.autocommit() as connection:
            rung = text("SELECT count(*) FROM job WHERE ring_at > due_at")
            while (await connection.execute(rung)).scalar_one() < 3:
                await asyncio.sleep(0.05)
            begun = text("SELECT count(*) FROM job WHERE attempts > 0")
            assert (await connection.execute(begun)).scalar_one() == 0
        assert deck.is_running("worker")
        await resume(database)
        assert {one["status"] for one in await settled(client, ids)} == {"ready"}
