"""The dispatcher carries out what was asked for: retention and erasures, with a storage that is away meanwhile too."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from models import administration, deletion, erasure
from models.db import Database
from models.erasure import Progress, Subject
from models.job import JobKind
from settings import Settings
from storage.open import open_storage
from storage.protocol import Storage, Unavailable
from tests.conftest import SECRET_KEY
from tests.factories import Deckhand, accepted, recording
from tests.gcs_emulator import Emulator, NoEmulator
from tests.models.steps import claimed, make_due, process
from tests.workers.test_dispatcher import count, dispatching, until_none
from workers import erasures
from workers.purge import purge
from workers.tools import Tools


@pytest.fixture
async def away() -> AsyncIterator[Storage]:
    """A bucket at an address where nobody answers."""
    try:
        emulator = Emulator()
    except NoEmulator as error:
        pytest.skip(str(error))
    storage = open_storage(
        emulator.storage_url,
        secret_key=SECRET_KEY,
        base_url="http://127.0.0.1",
        emulator_host=emulator.host,
    )
    yield storage
    await storage.close()


async def progress(db: Database, hand: Deckhand, asked: erasure.Erasure) -> Progress:
    found = await erasure.progress(db, hand.tenant_id, asked.id)
    assert found
    return found


async def test_expired_recordings_are_deleted_and_those_on_hold_are_kept(
    config: Settings, tools: Tools, database: Database, hand: Deckhand
) -> None:
    gone, held = [await accepted(database, hand) for _ in range(2)]
    await deletion.hold(database, hand.tenant_id, held)
    await administration.set_retention(database, hand.api_key.project_id, 1e-9)
    async with dispatching(config, tools):
        await until_none(database, f"recording WHERE id = '{gone}' AND deleted_at IS NULL")
    assert await count(database, f"job WHERE kind = 'purge' AND recording_id = '{gone}'") == 1
    kept = await recording(database, held)
    assert kept
    assert kept.deleted_at is None


async def test_storage_that_is_away_only_delays_an_erasure_and_no_other_one(
    database: Database, hand: Deckhand, tools: Tools, away: Storage
) -> None:
    id_ = await accepted(database, hand, session_id="s")
    await process(database, id_)
    first = await erasure.request(database, hand.tenant_id, Subject.SESSION, "s")
    while (await progress(database, hand, first)).erasure.collected_at is None:
        await erasures.advance(database, away)
    async with database.transaction() as session:
        await session.execute(text("DELETE FROM object"))
    await make_due(database)
    await purge(await claimed(database, id_, JobKind.PURGE), tools)

    other = await accepted(database, hand, session_id="t")
    second = await erasure.request(database, hand.tenant_id, Subject.SESSION, "t")
    for _ in range(2):
        with pytest.raises(Unavailable):
            await erasures.advance(database, away)
    assert (await progress(database, hand, first)).erased == 0
    assert (await progress(database, hand, second)).found == 1
    deleted = await recording(database, other)
    assert deleted
    assert deleted.deleted_at

    while await erasures.advance(database, tools.storage):  # it is back, and has nothing
        pass
    at_the_end = await progress(database, hand, first)
    assert at_the_end.erasure.finished_at
    assert at_the_end.erased == 1


async def test_the_dispatcher_ends_an_erasure(
    config: Settings, tools: Tools, database: Database, hand: Deckhand
) -> None:
    id_ = await accepted(database, hand, session_id="s")
    await erasure.request(database, hand.tenant_id, Subject.SESSION, "s")
    async with dispatching(config, tools):
        await until_none(database, "recording WHERE deleted_at IS NULL")
        await purge(await claimed(database, id_, JobKind.PURGE), tools)
        await until_none(database, "erasure WHERE finished_at IS NULL")
    assert await count(database, "job_history") == 0
