"""The dispatcher goes on: a storage that hangs, an object that is not deleted, a row that is broken hold up only themselves."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import insert

from models import action, deletion, ledger, lifecycle, queues
from models.action import Action, ActionState, AuditEntry, Verb
from models.db import Database
from models.doorbell import Listener
from models.job import JobKind, JobState, Priority
from models.object import ObjectKind, ObjectState, StoredObject
from settings import Settings
from storage.open import open_storage
from tests.conftest import SECRET_KEY
from tests.factories import Deckhand, accepted, job_of
from tests.gcs_emulator import Emulator
from workers.dispatcher import Dispatcher
from workers.purge import purge
from workers.tools import Tools


@asynccontextmanager
async def dispatching(config: Settings, tools: Tools) -> AsyncIterator[None]:
    listener = Listener(config.redis_url)
    running = asyncio.create_task(Dispatcher(config, tools, listener).run())
    try:
        async with asyncio.timeout(60):
            yield
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await listener.close()


async def due(db: Database, hand: Deckhand, priority: Priority, how_many: int) -> None:
    """Jobs `relate` that are due."""
    for _ in range(how_many):
        whose = {"tenant_id": hand.tenant_id, "recording_id": await accepted(db, hand)}
        async with db.transaction() as session:
            await ledger.add(session, JobKind.RELATE, **whose, priority=priority)


async def expired_object(db: Database, name: str, *, age_s: float) -> None:
    async with db.transaction() as session:
        values = {
            "name": name,
            "kind": ObjectKind.TAPE,
            "state": ObjectState.PENDING,
            "recording_id": uuid4(),
        }
        expires_at = func.now() - timedelta(seconds=age_s)
        await session.execute(insert(StoredObject).values(**values, expires_at=expires_at))


async def until_none(db: Database, query: str) -> None:
    while await count(db, query):
        await asyncio.sleep(0.02)


async def count(db: Database, query: str) -> int:
    async with db.autocommit() as connection:
        return int((await connection.execute(text(f"SELECT count(*) FROM {query}"))).scalar_one())


async def lost_job(db: Database, hand: Deckhand) -> None:
    job = await job_of(db, await accepted(db, hand))
    assert job
    assert await lifecycle.claim(db, job.id, worker="a test", lease_s=-1, put_deadline_s=60)


async def test_an_object_that_is_not_deleted_holds_up_nothing(
    config: Settings, tools: Tools, database: Database
) -> None:
    await expired_object(database, "../refused", age_s=100)
    await expired_object(database, "tapes/gone", age_s=1)
    async with database.transaction() as session:
        await session.execute(
            text(
                """INSERT INTO idempotency_key (project_id, key, body_hash, recording_id, created_at)
                   VALUES (gen_random_uuid(), 'old', '', gen_random_uuid(), now() - interval '2 days')"""
            )
        )
    async with dispatching(config, tools):
        await until_none(database, "idempotency_key")
        await until_none(database, "object WHERE name = 'tapes/gone'")
    assert await count(database, "object WHERE name = '../refused' AND expires_at > now()") == 1


async def test_a_storage_that_hangs_holds_up_only_what_needs_it(
    config: Settings, database: Database, hand: Deckhand, emulator: Emulator
) -> None:
    storage = open_storage(
        emulator.storage_url,
        secret_key=SECRET_KEY,
        base_url="http://127.0.0.1",
        emulator_host=emulator.host,
    )
    await expired_object(database, "tapes/waits", age_s=100)
    emulator.freeze()
    try:
        async with dispatching(config, Tools(database, storage, 10, 2**30, 2**30)):
            await until_none(database, "object WHERE state = 'pending'")  # it is being deleted
            await lost_job(database, hand)
            await until_none(database, "job WHERE state = 'running'")
            await until_none(database, "job WHERE ring_at IS NULL OR ring_at < now() + interval '1 second'")
    finally:
        emulator.thaw()
        await storage.close()


async def test_a_row_that_is_broken_is_one_row(
    config: Settings, tools: Tools, database: Database, hand: Deckhand
) -> None:
    await lost_job(database, hand)
    definition = text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'ck_job_jobkind'")
    async with database.transaction() as session:  # a kind of a newer version, and an older dispatcher
        check = (await session.execute(definition)).scalar_one()
        await session.execute(text("ALTER TABLE job DROP CONSTRAINT ck_job_jobkind"))
        await session.execute(
            text("UPDATE job SET kind = 'of_tomorrow', lease_until = now() - interval '1 hour'")
        )
    try:
        await lost_job(database, hand)
        async with dispatching(config, tools):
            await until_none(database, "job WHERE state = 'running' AND kind = 'process'")
        assert await count(database, "job WHERE state = 'running'") == 1
    finally:
        async with database.transaction() as session:
            await session.execute(text("DELETE FROM job WHERE kind = 'of_tomorrow'"))
            await session.execute(text(f"ALTER TABLE job ADD CONSTRAINT ck_job_jobkind {check}"))


async def test_a_purge_waits_for_an_object_that_is_not_deleted(
    tools: Tools, database: Database, hand: Deckhand
) -> None:
    id_ = await accepted(database, hand)
    await deletion.delete_recording(database, hand.tenant_id, id_)
    await expired_object(database, "../refused", age_s=1)
    async with database.transaction() as session:
        await session.execute(text("UPDATE object SET recording_id = :id"), {"id": id_})
    job = await job_of(database, id_)
    assert job
    work = await lifecycle.claim(database, job.id, worker="a test", lease_s=60, put_deadline_s=10)
    assert work
    await purge(work, tools)
    job = await job_of(database, id_)
    assert job
    assert job.state is JobState.DUE
    assert await count(database, "job WHERE due_at > now() + interval '1 minute'") == 1


async def test_what_is_asked_for_in_bulk_leaves_room_in_the_queue(
    config: Settings, tools: Tools, database: Database, hand: Deckhand
) -> None:
    rung = "job WHERE kind = 'relate' AND ring_at > now()"
    await due(database, hand, Priority.IN_BULK, 4)
    async with dispatching(config.model_copy(update={"ring_window": 32, "ring_again_s": 60}), tools):
        while await count(database, rung) < 2:
            await asyncio.sleep(0.02)
        await due(database, hand, Priority.AWAITED, 30)
        while await count(database, f"{rung} AND priority = 0") < 30:
            await asyncio.sleep(0.02)
    assert await count(database, rung) == 32


async def test_a_queue_that_is_paused_waits_until_it_is_resumed(
    config: Settings, tools: Tools, database: Database, hand: Deckhand
) -> None:
    async with database.transaction() as session:
        await queues.pause(session, JobKind.RELATE, "alice")
    await due(database, hand, Priority.AWAITED, 2)
    async with dispatching(config.model_copy(update={"ring_again_s": 60}), tools):
        await until_none(database, "job WHERE kind = 'process' AND ring_at IS NULL")
        assert await count(database, "job WHERE kind = 'relate' AND ring_at IS NULL") == 2
        async with database.transaction() as session:
            await queues.resume(session, JobKind.RELATE)
        await until_none(database, "job WHERE ring_at IS NULL")


async def test_a_tenant_with_a_backlog_holds_up_nobody(
    config: Settings, tools: Tools, database: Database, hand: Deckhand
) -> None:
    """The queue is full of one tenant's jobs; as soon as there is room, the first of the others has its turn."""
    async with database.transaction() as session:
        for tenant, how_many in ((uuid4(), 100), (other := uuid4(), 1)):
            for _ in range(how_many):
                await ledger.add(session, JobKind.RELATE, tenant_id=tenant, recording_id=uuid4())
    rung = "job WHERE ring_at IS NOT NULL"
    async with dispatching(config.model_copy(update={"ring_window": 8, "ring_again_s": 60}), tools):
        while await count(database, rung) < 8:
            await asyncio.sleep(0.02)
    assert await count(database, rung) == 8
    assert await count(database, f"{rung} AND tenant_id = '{other}'") == 1


async def test_what_operators_did_is_forgotten_when_its_time_is_over(
    config: Settings, tools: Tools, database: Database
) -> None:
    now = datetime.now(UTC)
    old, recent = now - timedelta(days=11), now - timedelta(days=9)
    done = {"verb": Verb.DISCARD, "filter": {"kind": "process"}, "matched": 1, "state": ActionState.DONE}
    async with database.transaction() as session:
        session.add_all(AuditEntry(who="kim", what="refill", subject="Redis", at=at) for at in [old] * 450)
        session.add(AuditEntry(who="lee", what="refill", subject="Redis", at=recent))
        session.add_all(
            Action(who=who, finished_at=at, **done) for who, at in (("kim", old), ("lee", recent))
        )
        session.add(Action(who="mo", created_at=old, **done))  # has not ended
    async with dispatching(config.model_copy(update={"audit_days": 10}), tools):
        while len(await action.log(database, limit=9, before=None)) > 1:
            await asyncio.sleep(0.05)
        while len(await action.actions(database, limit=9, before=None)) > 2:
            await asyncio.sleep(0.05)
    assert [one.who for one in await action.log(database, limit=9, before=None)] == ["lee"]
    assert {one.who for one in await action.actions(database, limit=9, before=None)} == {"lee", "mo"}
