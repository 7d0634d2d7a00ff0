"""The promise for rows: whatever happens to who writes them, they are there in the end, all of them, once."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from models import administration
from models.db import Database
from models.job import JobKind
from tests.deck import Deck
from tests.promise.dust import IN_A_HURRY, LARGE, nothing_left_over, running, send, settled
from tests.workers.rows import events

pytestmark = pytest.mark.timeout(300)  # real processes, killed and started, on whatever machine there is

MakeDeck = Callable[..., Deck]
EVENTS = 120_000


def objects_of(deck: Deck) -> Path:
    return Path(deck.storage_url.removeprefix("file://"))


async def all_relational(database: Database) -> None:
    for project in await administration.projects(database):
        await administration.set_relational(database, project.id, True)


async def copying(deck: Deck, database: Database) -> None:
    """Wait until a worker is in the middle of its transaction."""
    await running(deck.database_url, JobKind.RELATE)
    has_begun = text("SELECT 1 FROM pg_stat_progress_copy")
    async with database.autocommit() as connection:
        while not (await connection.execute(has_begun)).first():
            await asyncio.sleep(0)


async def check(database: Database, id_: str) -> None:
    made = await events(database, UUID(id_))
    assert len(made) == EVENTS
    async with database.autocommit() as connection:
        replay = (await connection.execute(text("SELECT event_count FROM replay"))).scalar_one()
        job = await connection.execute(text("SELECT attempts, losses FROM job_history WHERE kind = 'relate'"))
        attempts, losses = job.one()
    assert (replay, losses) == (EVENTS, 1)
    assert attempts == 1


async def test_a_worker_killed_while_it_writes_rows_leaves_them_to_the_next(
    make_deck: MakeDeck, database: Database
) -> None:
    deck = make_deck(**IN_A_HURRY)
    await deck.start()
    await all_relational(database)
    async with deck.client() as client:
        id_ = await send(client, LARGE)
        await settled(client, [id_])
        await copying(deck, database)
        deck.kill("worker")
        await deck.start("worker")
        await nothing_left_over(deck.database_url, objects_of(deck))
        await check(database, id_)
        assert (await client.delete(f"/api/v1/recordings/{id_}")).status_code == 204
        await nothing_left_over(deck.database_url, objects_of(deck))
    async with database.autocommit() as connection:
        assert not (await connection.execute(text("SELECT 1 FROM event"))).first()


async def test_a_worker_frozen_while_it_writes_rows_holds_nobody_up(
    make_deck: MakeDeck, database: Database
) -> None:
    deck = make_deck(**IN_A_HURRY)
    await deck.start()
    await all_relational(database)
    async with deck.client() as client:
        id_ = await send(client, LARGE)
        await settled(client, [id_])
        await copying(deck, database)
        deck.kill("worker", signal.SIGSTOP)
        other = make_deck(deck.storage_url, **IN_A_HURRY)
        await other.start("worker")
        await nothing_left_over(deck.database_url, objects_of(deck))
        await check(database, id_)
        deck.kill("worker", signal.SIGCONT)
        await nothing_left_over(deck.database_url, objects_of(deck))
        await check(database, id_)
