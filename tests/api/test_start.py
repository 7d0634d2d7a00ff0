"""Starting, and stopping, the service."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import pytest

from settings import SettingsError
from tests.api.conftest import Serve
from tests.api.served import DidNotStart
from tests.api.test_create import PATH
from tests.factories import Deckhand, upload
from tests.servers import Addresses


@pytest.fixture
async def empty_url(servers: Addresses, database_url: str) -> AsyncIterator[str]:
    """A database that nobody migrated."""
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute("CREATE DATABASE never_migrated")
    yield servers.database("never_migrated")
    await connection.execute("DROP DATABASE never_migrated WITH (FORCE)")
    await connection.close()


async def test_a_schema_behind_the_code_is_refused(
    serve: Serve, empty_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DidNotStart):
        await asyncio.to_thread(serve, database_url=empty_url)
    assert "tapedeck migrate" in caplog.text
    assert "Traceback" not in caplog.text


async def test_a_server_that_may_lose_commits_is_refused(
    serve: Serve, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    connection = await asyncpg.connect(database_url)
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    try:
        with pytest.raises(DidNotStart):
            await asyncio.to_thread(serve)
    finally:
        await connection.execute(f"ALTER DATABASE {name} RESET synchronous_commit")
        await connection.close()
    assert "synchronous_commit" in caplog.text


async def test_a_wrong_password_is_refused_at_once(
    serve: Serve, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = database_url.rpartition("/")[0] + "/no_such_database"
    with pytest.raises(DidNotStart):
        await asyncio.wait_for(asyncio.to_thread(serve, database_url=nowhere), 20)
    assert "DATABASE_URL" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_storage_that_cannot_be_opened_is_one_clear_line(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(SettingsError, match="STORAGE_URL"):
        serve(storage_url=f"file://{tmp_path / 'file'}")


async def test_a_stop_answers_those_who_wait(serve: Serve, hand: Deckhand) -> None:
    web = serve()
    async with web.client(hand.keys.api_key) as api:
        path = (await api.post(PATH, content=upload())).headers["Location"]
        waiting = asyncio.create_task(api.get(path, headers={"Prefer": "wait=60"}))
        await asyncio.wait([waiting], timeout=0.5)
        await asyncio.to_thread(web.stop)
        answer: httpx.Response = await asyncio.wait_for(waiting, 20)
    assert (answer.status_code, answer.json()["status"]) == (200, "uploading")
