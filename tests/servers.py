"""The Postgres and Valkey that a test run shares: started once, a database of its own for each xdist worker."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec
from redis.asyncio import Redis

from app.embedded import EmbeddedPostgres, EmbeddedValkey
from models import migrate

TEMPLATE = "template_tapedeck"
REDIS_DATABASES = 64
EMPTY = """
DO $$ DECLARE name text; BEGIN
    PERFORM set_config('session_replication_role', 'replica', true);  -- foreign keys ask for no order
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
        EXECUTE format('DELETE FROM %I', name);
    END LOOP;
END $$
"""

T = TypeVar("T")


class Addresses(msgspec.Struct, frozen=True):
    """Where the servers of this test run are."""

    database_url: str
    redis_url: str

    def database(self, name: str) -> str:
        return urlunsplit(urlsplit(self.database_url)._replace(path=f"/{name}"))

    def redis(self, number: int) -> str:
        return urlunsplit(urlsplit(self.redis_url)._replace(path=f"/{number}"))


class Servers:
    """Both servers in a temporary folder, and a migrated database to clone. `start()` once, `stop()` at the end."""

    def start(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="tapedeck-tests-"))
        self.folder.chmod(0o711)  # root's servers run as an ordinary user
        self.postgres = EmbeddedPostgres(self.folder / "postgres", settings={"max_connections": "300"})
        self.valkey = EmbeddedValkey(self.folder / "valkey", settings={"databases": str(REDIS_DATABASES)})
        for server in self.postgres, self.valkey:
            server.prepare()
            server.start()
        self.addresses = Addresses(self.postgres.url, self.valkey.url)
        run(_execute(self.postgres.url, f"CREATE DATABASE {TEMPLATE}"))
        apart(migrate.upgrade, self.addresses.database(TEMPLATE))
        return self

    def stop(self) -> None:
        for server in self.valkey, self.postgres:
            server.kill()  # nobody will read it again
        shutil.rmtree(self.folder, ignore_errors=True)


def clone(addresses: Addresses, name: str) -> str:
    """The URL of a fresh, migrated database."""
    run(_execute(addresses.database_url, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}"))
    return addresses.database(name)


async def empty(database_url: str) -> None:
    """Delete every row of every table of ours. Faster than TRUNCATE while tables are small."""
    await _execute(database_url, EMPTY)


async def flush(redis_url: str) -> None:
    """Delete every key of this database."""
    async with Redis.from_url(redis_url) as redis:
        await redis.flushdb()


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, for fixtures that are not async."""
    return apart(asyncio.run, coroutine)


def apart(function: Any, *arguments: Any) -> Any:
    """Call something that runs an event loop of its own, away from the thread that pytest's loop lives in."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(function, *arguments).result()


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
