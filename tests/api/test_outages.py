"""Postgres away: a clear answer, nothing half-done, and back to work by itself."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest

from models.db import Database
from tests.api.conftest import Serve
from tests.api.test_create import PATH, rows
from tests.factories import Deckhand, upload


class Line:
    """A line to a server that can be cut and mended."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._writers: set[asyncio.StreamWriter] = set()
        self.is_cut = False

    async def open(self) -> None:
        """`port` is this end of it, on loopback."""
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        self.is_cut = True
        for writer in self._writers:
            writer.transport.abort()

    async def close(self) -> None:
        self.cut()
        self._server.close()
        await self._server.wait_closed()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.transport.abort()
            return
        other_reader, other_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, other_writer}
        await asyncio.gather(self._pass(reader, other_writer), self._pass(other_reader, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.transport.abort()


@pytest.fixture
async def line(database_url: str) -> AsyncIterator[Line]:
    parts = urlsplit(database_url)
    line = Line(parts.hostname or "", parts.port or 5432)
    await line.open()
    yield line
    await line.close()


async def test_postgres_away_is_503_and_back_it_goes_on(
    serve: Serve, hand: Deckhand, database: Database, database_url: str, line: Line
) -> None:
    parts = urlsplit(database_url)
    user = parts.netloc.rpartition("@")[0]
    url = urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{line.port}"))
    web = await asyncio.to_thread(serve, database_url=url)
    async with web.client(hand.keys.api_key) as api:
        first = await api.post(PATH, content=upload())
        assert first.status_code == 201
        before = await rows(database)
        waiting = asyncio.create_task(api.get(first.headers["Location"], headers={"Prefer": "wait=3"}))
        await asyncio.wait([waiting], timeout=0.5)
        line.cut()
        for answer in (
            await api.post(PATH, content=upload()),
            await api.get(PATH),
            await api.get(first.headers["Location"]),
            await waiting,
        ):
            assert_unavailable(answer)
        assert_unavailable(await api.post("/login", json={}))
        saved = await api.post("/api/save-replay", content=b"{}")
        assert (saved.status_code, set(saved.json())) == (503, {"message"})
        assert int(saved.headers["Retry-After"]) > 0
        ready = await api.get("/ready")
        assert (ready.status_code, ready.json()["dependencies"]["database"]) == (503, "away")
        assert (await api.get("/health")).status_code == 200
        assert await rows(database) == before
        line.is_cut = False
        assert (await api.post(PATH, content=upload())).status_code == 201
        assert (await api.get("/ready")).status_code == 200


def assert_unavailable(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    for word in ("Traceback", "asyncpg", "Connect", "SELECT"):
        assert word not in answer.text
