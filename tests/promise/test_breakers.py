"""Storage goes away: within seconds nobody tries any more, it costs nothing, and work goes on by itself; or ends, in time."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from models.breakers import BreakerState
from models.db import Database
from tests.deck import Deck
from tests.gcs_emulator import Emulator
from tests.promise.dust import IN_A_HURRY, breaker, nothing_left_over, send, settled, used_up

pytestmark = pytest.mark.timeout(300)  # real processes, killed and started, on whatever machine there is

MakeDeck = Callable[..., Deck]


async def tried(database_url: str) -> int:
    """How many jobs have met the outage."""
    database = Database(database_url)
    try:
        async with database.autocommit() as connection:
            met = text("SELECT count(*) FROM job WHERE outages > 0 OR state = 'running'")
            return int((await connection.execute(met)).scalar_one())
    finally:
        await database.close()


async def test_while_storage_is_away_its_queues_wait_and_then_go_on(
    make_deck: MakeDeck, bucket: Emulator
) -> None:
    deck = make_deck(bucket.storage_url, **IN_A_HURRY, STORAGE_EMULATOR_HOST=bucket.host)
    await deck.start()
    bucket.freeze()
    async with deck.client() as client:
        ids = [await send(client) for _ in range(3)]
        await breaker(deck.database_url, BreakerState.OPEN)
        for name in ("worker", "dispatcher"):  # whoever starts meanwhile holds back, too
            deck.kill(name)
            await deck.start(name)
        ids += [await send(client) for _ in range(20)]
        assert await tried(deck.database_url) <= 3
        bucket.thaw()
        assert {found["status"] for found in await settled(client, ids)} == {"ready"}
    await breaker(deck.database_url, BreakerState.CLOSED)
    for id_ in ids[3:]:
        assert await used_up(deck.database_url, id_) == (1, 0)
    await nothing_left_over(deck.database_url)


async def test_what_waited_for_storage_in_vain_fails_in_time(make_deck: MakeDeck, bucket: Emulator) -> None:
    short = {"TAPEDECK_OUTAGE_DEADLINE_S": "5", "TAPEDECK_MAX_ATTEMPTS": "2"}
    deck = make_deck(bucket.storage_url, **IN_A_HURRY, **short, STORAGE_EMULATOR_HOST=bucket.host)
    await deck.start()
    async with deck.client() as client:
        bucket.stop()
        ids = [await send(client)]
        await breaker(deck.database_url, BreakerState.OPEN)
        ids += [await send(client) for _ in range(3)]
        failed = await settled(client, ids)
    assert {one["failure"]["code"] for one in failed} == {"storage_unavailable"}
