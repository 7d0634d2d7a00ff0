"""What a connection promises: a process that freezes, wherever it does, lets go of its locks."""

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
