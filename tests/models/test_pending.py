"""What waits in Postgres, in bytes: exactly while that is cheap, else by a sample."""

import pytest
from sqlalchemy import text

from models import pending
from models.db import Database
from models.pending import pending_bytes
from tests.factories import accepted, first_tenant

MORE = text(
    "INSERT INTO payload (recording_id, batch, chunk, data) "
    "SELECT recording_id, 1, number, decode(repeat('5a', 1000), 'hex') FROM payload, generate_series(1, :rows) AS number"
)


async def test_nothing_waits_in_an_empty_table(database: Database) -> None:
    assert await pending_bytes(database) == 0


async def test_bytes_are_as_stored(database: Database, database_url: str) -> None:
    hand = await first_tenant(database, database_url)
    await accepted(database, hand)
    alone = await pending_bytes(database)
    assert 0 < alone < 1000
    async with database.autocommit() as connection:
        await connection.execute(MORE, {"rows": 700})
        await connection.execute(
            text("UPDATE payload SET data = data || data || data WHERE chunk = 7")
        )  # apart
    assert await pending_bytes(database) == alone + 702_000


async def test_a_large_table_is_seen_by_a_sample(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await accepted(database, await first_tenant(database, database_url))
    async with database.autocommit() as connection:
        await connection.execute(MORE, {"rows": 3000})
    exact = await pending_bytes(database)
    monkeypatch.setattr(pending, "EXACT_BLOCKS", 200)
    seen = {await pending_bytes(database) for _ in range(3)}
    assert seen != {exact}
    assert all(exact / 2 < one < exact * 2 for one in seen)
