"""The promise for live sessions: what got its 202 is in a tape, once, whoever is killed, and nobody has to finish them."""

import asyncio
import random
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from app.embedded import EmbeddedPostgres
from models import migrate
from models.db import Database
from tests.deck import Deck
from tests.factories import events, upload
from tests.promise.dust import IN_A_HURRY, nothing_left_over, running, settled
from tests.promise.sessions import batches, numbers_of, send_all, terminal
from tests.promise.test_promise import MakeDeck, keep_running, objects_of

pytestmark = pytest.mark.timeout(300)  # real processes, killed and started, on whatever machine there is

EVENTS = 60
SESSIONS = [f"session {n}" for n in range(6)]
SOON_IDLE = IN_A_HURRY | {"TAPEDECK_SESSION_IDLE_S": "3"}


def planned(*, overlap: int = 0) -> list[dict[str, Any]]:
    """The batches of all sessions, mixed."""
    rng = random.Random(20261126)
    bodies = [body for session in SESSIONS for body in batches(session, EVENTS, rng, overlap=overlap)]
    rng.shuffle(bodies)
    return bodies


async def every_event_once(client: httpx.AsyncClient) -> dict[str, list[dict[str, Any]]]:
    """Wait for all sessions: each is a chain of recordings that are ready, which together have every event, once."""
    found = await terminal(client, SESSIONS)
    for session, chain in found.items():
        assert {one["status"] for one in chain} == {"ready"}, session
        assert [one["continues"] for one in chain] == [None, *(one["id"] for one in chain[:-1])]
        assert await numbers_of(client, chain) == list(range(EVENTS)), session
    return found


async def test_whoever_is_killed_while_sessions_come(make_deck: MakeDeck, redis_url: str) -> None:
    deck = make_deck(**SOON_IDLE)
    await deck.start()
    bodies = planned()
    third = len(bodies) // 3
    async with deck.client() as one, deck.client() as other, Redis.from_url(redis_url) as redis:
        clients = [one, other, one, other]
        await send_all(clients, bodies[:third])
        sending = asyncio.create_task(send_all(clients, bodies[third : 2 * third]))
        deck.kill("web")
        deck.kill("worker")
        await redis.flushdb()
        await deck.start("web")
        await sending
        deck.kill("dispatcher")
        sending = asyncio.create_task(send_all(clients, bodies[2 * third :]))
        await deck.restart("web")
        await sending
        await deck.start("worker", "dispatcher")
        await redis.flushdb()
        found = await every_event_once(one)
        late = bodies[0]
        await send_all(clients, [late])  # its answer was lost, say, and its client slept since
        assert await every_event_once(one) == found
    await nothing_left_over(deck.database_url, objects_of(deck))


async def test_a_worker_killed_while_it_processes_a_session(make_deck: MakeDeck) -> None:
    deck = make_deck(**SOON_IDLE)
    await deck.start()
    async with deck.client() as client:
        id_ = await opened(client)
        for seq in range(4):
            await chunk(client, id_, seq)
        await client.post(f"/api/v1/recordings/{id_}/finish")
        await running(deck.database_url)
        deck.kill("worker")
        assert (await client.post(f"/api/v1/recordings/{id_}/finish")).status_code == 202
        await chunk(client, id_, 3)  # again
        await deck.start("worker")
        (done,) = await settled(client, [id_])
        assert (done["status"], done["event_count"], done["warnings"]) == ("ready", 4 * PER_CHUNK, [])
    await nothing_left_over(deck.database_url, objects_of(deck))


async def test_sessions_whose_limits_are_small(make_deck: MakeDeck) -> None:
    """They are closed and continued all the time, while their batches come twice, and web processes die."""
    deck = make_deck(**SOON_IDLE, TAPEDECK_SESSION_MAX_BYTES="2000")
    await deck.start()
    bodies = planned()
    async with deck.client() as one, deck.client() as other:
        sending = asyncio.create_task(send_all([one, other, one, other], bodies))
        await kept(deck, 12)
        await deck.restart("web")
        await kept(deck, 24)
        await deck.restart("web")
        await sending
        found = await every_event_once(one)
        assert max(map(len, found.values())) > 1
    await nothing_left_over(deck.database_url, objects_of(deck))


async def test_postgres_killed_while_sessions_come(
    make_deck: MakeDeck, own_postgres: EmbeddedPostgres
) -> None:
    await asyncio.to_thread(migrate.upgrade, own_postgres.url)
    deck = make_deck(**IN_A_HURRY, DATABASE_URL=own_postgres.url)
    deck.database_url = own_postgres.url
    await deck.start()
    bodies = planned(overlap=3)
    async with deck.client() as one, deck.client() as other:
        sending = asyncio.create_task(send_all([one, other], bodies))
        await kept(deck, 10)
        own_postgres.kill()
        keepers = [asyncio.create_task(keep_running(deck, name)) for name in ("worker", "dispatcher")]
        own_postgres.start()
        await sending
        for (
            session
        ) in SESSIONS:  # nothing else closes them so soon: what came twice in part is in one recording
            (recording,) = (await one.get("/api/v1/recordings", params={"session_id": session})).json()[
                "recordings"
            ]
            assert (await one.post(f"/api/v1/recordings/{recording['id']}/finish")).status_code == 202
        await every_event_once(one)
        for keeper in keepers:
            keeper.cancel()
    await nothing_left_over(own_postgres.url, objects_of(deck))


PER_CHUNK = 30_000
CHUNKS = events(4 * PER_CHUNK)


async def opened(client: httpx.AsyncClient) -> str:
    answer = await client.post("/api/v1/recordings", content=upload([], open=True))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def chunk(client: httpx.AsyncClient, id_: str, seq: int) -> None:
    some = CHUNKS[seq * PER_CHUNK : (seq + 1) * PER_CHUNK]
    answer = await client.post(f"/api/v1/recordings/{id_}/events", json={"seq": seq, "events": some})
    assert answer.status_code == 202, answer.text


async def kept(deck: Deck, many: int) -> None:
    """Wait until so many batches are there."""
    database = Database(deck.database_url)
    async with database.autocommit() as connection:
        while (await connection.execute(text("SELECT count(*) FROM batch"))).scalar_one() < many:
            await asyncio.sleep(0.01)
    await database.close()
