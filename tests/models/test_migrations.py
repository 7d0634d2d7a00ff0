"""The migrations and the models say the same."""

import asyncio
import os

import pytest
from alembic import command
from sqlalchemy import text

from models import migrate
from models.db import Database, UnsafeServer, check_server
from tests.servers import Addresses, clone


async def test_the_migrated_schema_is_what_the_models_declare(database_url: str) -> None:
    await asyncio.to_thread(command.check, migrate._config(database_url))


async def test_migrating_again_changes_nothing(database_url: str) -> None:
    await asyncio.to_thread(migrate.upgrade, database_url)


async def test_the_newest_migration_can_be_undone_and_done_again(servers: Addresses) -> None:
    url = clone(servers, f"undone_{os.getpid()}")
    for step, revision in ((command.downgrade, "-1"), (command.upgrade, "head")):
        await asyncio.to_thread(step, migrate._config(url), revision)
    await asyncio.to_thread(command.check, migrate._config(url))


async def test_payloads_are_stored_uncompressed_outside_the_table(database: Database) -> None:
    async with database.autocommit() as connection:
        storage = await connection.execute(
            text(
                "SELECT attstorage::text FROM pg_attribute WHERE attrelid = 'payload'::regclass AND attname = 'data'"
            )
        )
        assert storage.scalar_one() == "e"


async def test_a_start_refuses_a_schema_that_is_not_the_codes(database: Database) -> None:
    await check_server(database, head=migrate.head())
    with pytest.raises(UnsafeServer, match="tapedeck migrate"):
        await check_server(database, head="9999")
