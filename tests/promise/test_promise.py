"""Kill, freeze, flush, take away: every accepted recording still ends right, once, and nothing is left over."""

import asyncio
import contextlib
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from app.embedded import EmbeddedPostgres, EmbeddedValkey
from models import migrate
from models.db import Database
from tests.deck import Deck
from tests.factories import upload
from tests.gcs_emulator import Emulator
from tests.promise.dust import (
    IN_A_HURRY,
    LARGE,
    keep_running,
    nothing_left_over,
    running,
    send,
    settled,
    used_up,
)

pytestmark = pytest.mark.timeout(300)  # real processes, killed and started, on whatever machine there is

MakeDeck = Callable[..., Deck]

POISON = """
import os, signal
from replay import plan
harmless = plan.plan
def deadly(batches, claims, **options):
    if claims.event_count == 666:
        os.kill(os.getpid(), signal.SIGKILL)
    return harmless(batches, claims, **options)
plan.plan = deadly
"""
HANGS = POISON.replace("os.kill(os.getpid(), signal.SIGKILL)", "import time; time.sleep(3600)")


def objects_of(deck: Deck) -> Path:
    return Path(deck.storage_url.removeprefix("file://"))


async def test_a_killed_worker_loses_nothing(make_deck: MakeDeck) -> None:
    deck = make_deck(**IN_A_HURRY)
    await deck.start()
    async with deck.client() as client:
        ids = [await send(client, LARGE) for _ in range(2)] + [await send(client) for _ in range(10)]
        await running(deck.database_url)
        deck.kill("worker")
        await deck.start("worker")
        assert [found["status"] for found in await settled(client, ids)] == ["ready"] * 12
    await nothing_left_over(deck.database_url, objects_of(deck))


async def test_a_killed_master_leaves_no_worker_behind(make_deck: MakeDeck) -> None:
    deck = make_deck(**IN_A_HURRY)
    await deck.start("web", "worker")
    processes = [psutil.Process(pid) for pid in deck.pids("worker")]
    master = next(process for process in processes if "dramatiq" in " ".join(process.cmdline()))
    workers = master.children(recursive=True)
    assert workers
    master.kill()
    _, alive = await asyncio.to_thread(psutil.wait_procs, workers, timeout=30)
    assert not alive


async def test_a_frozen_worker_that_thaws_changes_nothing(make_deck: MakeDeck) -> None:
    deck = make_deck(**IN_A_HURRY)
    await deck.start()
    async with deck.client() as client:
        ids = [await send(client, LARGE) for _ in range(2)] + [await send(client) for _ in range(5)]
        await running(deck.database_url)
        deck.kill("worker", signal.SIGSTOP)
        other = make_deck(deck.storage_url, **IN_A_HURRY)
        await other.start("worker")
        first = await settled(client, ids)
        deck.kill("worker", signal.SIGCONT)
        assert [found["status"] for found in first] == ["ready"] * 7
        await nothing_left_over(deck.database_url, objects_of(deck))
        assert await settled(client, ids) == first


async def test_a_flushed_redis_heals_by_itself(make_deck: MakeDeck, redis_url: str) -> None:
    deck = make_deck(**IN_A_HURRY)
    await deck.start("web", "dispatcher")
    async with deck.client() as client, Redis.from_url(redis_url) as redis:
        ids = [await send(client) for _ in range(20)]
        while await redis.dbsize() == 0:
            await asyncio.sleep(0.01)
        await redis.flushdb()
        await deck.start("worker")
        assert {found["status"] for found in await settled(client, ids)} == {"ready"}
    await nothing_left_over(deck.database_url, objects_of(deck))


async def test_messages_in_redis_are_bounded(make_deck: MakeDeck, redis_url: str) -> None:
    deck = make_deck(**IN_A_HURRY, TAPEDECK_RING_WINDOW="5")
    await deck.start("web", "dispatcher")
    async with deck.client() as client, Redis.from_url(redis_url) as redis:
        ids = [await send(client) for _ in range(30)]
        while await redis.llen("dramatiq:process") < 5:
            await asyncio.sleep(0.01)
        for _ in range(100):  # over several rounds of ringing again
            assert await redis.llen("dramatiq:process") <= 5
            await asyncio.sleep(0.03)
        await deck.start("worker")
        assert {found["status"] for found in await settled(client, ids)} == {"ready"}


async def test_valkey_may_be_away(make_deck: MakeDeck, own_valkey: EmbeddedValkey) -> None:
    deck = make_deck(**IN_A_HURRY, REDIS_URL=own_valkey.url)
    await deck.start()
    async with deck.client() as client:
        ids = [await send(client)]
        own_valkey.kill()
        ids += [await send(client) for _ in range(10)]
        own_valkey.start()
        keeper = asyncio.create_task(keep_running(deck, "worker"))
        assert {found["status"] for found in await settled(client, ids)} == {"ready"}
        keeper.cancel()
    await nothing_left_over(deck.database_url, objects_of(deck))


async def test_postgres_may_be_killed(make_deck: MakeDeck, own_postgres: EmbeddedPostgres) -> None:
    await asyncio.to_thread(migrate.upgrade, own_postgres.url)
    deck = make_deck(**IN_A_HURRY, DATABASE_URL=own_postgres.url)
    deck.database_url = own_postgres.url
    await deck.start()
    async with deck.client() as client:
        ids = [await send(client, LARGE)] + [await send(client) for _ in range(10)]
        await running(own_postgres.url)
        own_postgres.kill()
        keepers = [asyncio.create_task(keep_running(deck, name)) for name in ("worker", "dispatcher")]
        own_postgres.start()
        ids += [await send(client)]
        assert {found["status"] for found in await settled(client, ids)} == {"ready"}
        for keeper in keepers:
            keeper.cancel()
    await nothing_left_over(own_postgres.url, objects_of(deck))


async def test_storage_may_be_away_and_costs_no_attempt(make_deck: MakeDeck, bucket: Emulator) -> None:
    deck = make_deck(bucket.storage_url, **IN_A_HURRY, STORAGE_EMULATOR_HOST=bucket.host)
    await deck.start()
    bucket.freeze()
    async with deck.client() as client:
        ids = [await send(client) for _ in range(3)]
        while "storage_unavailable" not in deck.log("worker"):
            await asyncio.sleep(0.05)
        bucket.thaw()
        assert {found["status"] for found in await settled(client, ids)} == {"ready"}
    for id_ in ids:
        assert await used_up(deck.database_url, id_) == (1, 0)
    await nothing_left_over(deck.database_url)


async def test_a_recording_deleted_during_process_leaves_nothing(make_deck: MakeDeck) -> None:
    deck = make_deck(**IN_A_HURRY)
    await deck.start()
    async with deck.client() as client:
        doomed = await send(client, LARGE)
        await running(deck.database_url)
        assert (await client.delete(f"/api/v1/recordings/{doomed}")).status_code == 204
        assert (await client.get(f"/api/v1/recordings/{doomed}")).status_code == 404
    await nothing_left_over(deck.database_url, objects_of(deck))
    database = Database(deck.database_url)
    async with database.autocommit() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM recording"))).scalar_one() == 0
        assert (await connection.execute(text("SELECT sum(purged) FROM tally"))).scalar_one() == 1
    await database.close()
    assert not list(objects_of(deck).glob("tapes/*/*/*"))


async def test_a_payload_that_kills_its_worker_fails_alone(make_deck: MakeDeck, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(POISON)
    deck = make_deck(**IN_A_HURRY, PYTHONPATH=str(tmp_path), TAPEDECK_MAX_LOSSES="3")
    await deck.start()
    keeper = asyncio.create_task(keep_running(deck, "worker"))
    async with deck.client() as client:
        poison = await send(client, upload(event_count=666))
        innocent = [await send(client) for _ in range(5)]
        failed, *others = await settled(client, [poison, *innocent])
    keeper.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await keeper
    assert failed["failure"]["code"] == "worker_lost"
    assert {found["status"] for found in others} == {"ready"}
    assert (await used_up(deck.database_url, poison))[1] == 3
    await nothing_left_over(deck.database_url, objects_of(deck))


async def test_a_payload_that_cannot_be_read_fails_with_its_reason(make_deck: MakeDeck) -> None:
    deck = make_deck(**IN_A_HURRY)
    await deck.start("web", "dispatcher")
    async with deck.client() as client:
        id_ = await send(client)
        database = Database(deck.database_url)
        async with database.transaction() as session:
            await session.execute(text("UPDATE payload SET data = 'not zstd'"))
        await database.close()
        await deck.start("worker")
        (found,) = await settled(client, [id_])
    assert found["failure"]["code"] == "payload_unreadable"
    await nothing_left_over(deck.database_url, objects_of(deck))


async def test_a_worker_that_is_stopped_hands_its_jobs_back(make_deck: MakeDeck) -> None:
    deck = make_deck(**IN_A_HURRY, TAPEDECK_DRAIN_S="0")
    await deck.start()
    async with deck.client() as client:
        ids = [await send(client, LARGE) for _ in range(3)]
        await running(deck.database_url)
        deck.kill("worker", signal.SIGTERM)
        while deck.is_running("worker"):
            await asyncio.sleep(0.05)
        await deck.start("worker")
        assert {found["status"] for found in await settled(client, ids)} == {"ready"}
    for id_ in ids:
        assert await used_up(deck.database_url, id_) == (1, 0)
    await nothing_left_over(deck.database_url, objects_of(deck))


async def test_everything_may_be_killed_at_once(make_deck: MakeDeck) -> None:
    deck = make_deck(**IN_A_HURRY)
    await deck.start()
    async with deck.client() as client:
        ids = [await send(client, LARGE)] + [await send(client) for _ in range(10)]
        deck.stop()
        await deck.start()
        assert {found["status"] for found in await settled(client, ids)} == {"ready"}
    await nothing_left_over(deck.database_url, objects_of(deck))


async def test_a_payload_that_hangs_its_worker_fails_alone(make_deck: MakeDeck, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HANGS)
    hurry = {"TAPEDECK_MAX_LOSSES": "3", "TAPEDECK_JOB_TIMEOUT_S": "6"}
    deck = make_deck(**IN_A_HURRY, **hurry, PYTHONPATH=str(tmp_path))
    await deck.start()
    keeper = asyncio.create_task(keep_running(deck, "worker"))
    async with deck.client() as client:
        poison = await send(client, upload(event_count=666))
        innocent = [await send(client) for _ in range(5)]
        failed, *others = await settled(client, [poison, *innocent])
    keeper.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await keeper
    assert failed["failure"]["code"] == "worker_lost"
    assert {found["status"] for found in others} == {"ready"}
    await nothing_left_over(deck.database_url, objects_of(deck))
