"""What a connection promises: a process that freezes, wherever it does, lets go of its locks; a lost one is replaced; a row is
found by an index."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from models.db import Database, is_away
from tests.factories import Deckhand, accepted

LOCK = text("SELECT id FROM recording FOR UPDATE")


async def others_get_the_lock(database: Database, session: AsyncSession) -> bool:
    """Whether somebody else gets the lock while this session, which holds it, does nothing; it then is ended."""
    async with database.transaction() as other:
        await other.execute(LOCK)
    try:
        await session.execute(LOCK)
    except DBAPIError as error:
        await session.invalidate()
        return is_away(error)
    return False


async def test_a_client_frozen_before_its_next_statement_lets_go(
    database: Database, database_url: str, hand: Deckhand
) -> None:
    await accepted(database, hand)
    frozen = Database(database_url, limit_s=1)
    async with frozen.transaction() as session:
        await session.execute(LOCK)
        assert await others_get_the_lock(database, session)
    await frozen.close()


async def test_a_client_frozen_between_preparing_and_executing_lets_go(
    database: Database, database_url: str, hand: Deckhand
) -> None:
    await accepted(database, hand)
    frozen = Database(database_url, limit_s=1)
    async with frozen.transaction() as session:
        await session.execute(LOCK)
        raw = await (await session.connection()).get_raw_connection()
        assert raw.driver_connection
        await raw.driver_connection.prepare("SELECT 2")
        assert await others_get_the_lock(database, session)
    await frozen.close()


async def test_a_connection_that_the_server_ended_is_replaced_before_it_is_used(
    database: Database, database_url: str
) -> None:
    pooled = Database(database_url, pool_size=1)
    async with pooled.driver() as connection:
        pid = await connection.fetchval("SELECT pg_backend_pid()")
    async with database.autocommit() as other:
        await other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    async with pooled.driver() as connection:
        assert await connection.fetchval("SELECT pg_backend_pid()") != pid
    await pooled.close()


async def test_a_connection_that_ends_in_use_is_away(database: Database) -> None:
    async with database.driver() as connection:
        own = await connection.fetchval("SELECT pg_backend_pid()")
    with pytest.raises(Exception) as ended:  # noqa: PT011  # which one is the driver's choice
        async with database.driver() as connection:
            await connection.fetchval("SELECT pg_terminate_backend($1), pg_sleep(5)", own)
    assert is_away(ended.value)
    await database.ping()


async def test_a_statement_that_is_cancelled_leaves_nothing_to_the_next(database_url: str) -> None:
    pooled = Database(database_url, pool_size=1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), pooled.driver() as connection:
            await connection.fetchval("SELECT pg_sleep(60)")
    async with pooled.driver() as connection:
        assert await connection.fetchval("SELECT 1") == 1
    await pooled.close()


async def test_a_bulk_has_time_limits_of_its_own_and_leaves_none_behind(database_url: str) -> None:
    names = (
        "statement_timeout",
        "transaction_timeout",
        "idle_in_transaction_session_timeout",
        "lock_timeout",
    )
    db = Database(database_url, pool_size=1, limit_s=3)
    try:
        async with db.bulk(120) as (_, driver):
            assert [await driver.fetchval(f"SHOW {name}") for name in names] == [*3 * ["2min"], "1500ms"]
        async with db.driver() as driver:
            assert [await driver.fetchval(f"SHOW {name}") for name in names] == [*3 * ["3s"], "1500ms"]
    finally:
        await db.close()


async def test_a_statement_that_is_planned_while_a_table_is_small_stays_fast(
    database: Database, hand: Deckhand
) -> None:
    await accepted(database, hand)
    async with database.driver() as connection:
        await connection.execute("ANALYZE recording")  # it fits a page: reading it all would cost least
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        await connection.execute("PREPARE it (uuid) AS SELECT FROM recording WHERE id = $1")
        plan = await connection.fetch(f"EXPLAIN EXECUTE it ('{hand.tenant_id}')")
        await connection.execute("DEALLOCATE it; RESET plan_cache_mode")
    assert "Seq Scan" not in " ".join(row[0] for row in plan)
