"""Secrets by the thousand go through a whole deck: none of them is left in its database, storage, logs or answers."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import zstandard

from tests.api.live import INGEST
from tests.deck import Deck
from tests.promise.dust import IN_A_HURRY, send, settled
from tests.promise.planted import Planted, complete_session, recordings
from tests.promise.planted_live import sessions

pytestmark = pytest.mark.timeout(300)


async def test_no_planted_secret_is_left_anywhere(make_deck: Callable[..., Deck]) -> None:
    deck = make_deck(**IN_A_HURRY, TAPEDECK_VIDEO_WAIT_S="1")
    await deck.start()
    await _want_rows(deck.database_url)
    planted = Planted()
    bodies = list(recordings(planted))
    assert len(planted.needles) > 2000
    unpacked = planted.found_in("\n".join(body.decode() for body in bodies))
    assert len(unpacked) > 2000, "the search itself finds what is there"
    async with deck.client() as client:
        ids = [await send(client, body) for body in bodies]
        ids.insert(0, await _save_replay(client, planted))
        early = [json.dumps([(await client.get(f"/api/v1/recordings/{id_}")).json() for id_ in ids])]
        found = await settled(client, ids)
        assert [one["status"] for one in found] == ["ready"] * (len(ids) - 1) + ["failed"]
        assert sum(sum(one["masked"].values()) for one in found) > 2000
        answers = [one async for one in _answers(client, ids)]
        assert (await client.post(f"/api/v1/recordings/{ids[0]}/mask")).status_code == 202
        await _rows_made(deck.database_url)
    places = {
        "answers before processing": early,
        "answers": answers,
        "database": [one async for one in _database(deck.database_url)],
        "storage": _storage(Path(deck.storage_url.removeprefix("file://"))),
        "logs": deck.whole_logs(),
    }
    for place, texts in places.items():
        assert planted.found_in("\n".join(texts)) == {}, place


async def test_no_secret_of_a_live_session_is_left_anywhere(make_deck: Callable[..., Deck]) -> None:
    """Nor can it be read while the session goes on."""
    deck = make_deck(**IN_A_HURRY)
    await deck.start()
    await _want_rows(deck.database_url)
    planted = Planted()
    batches = list(sessions(planted))
    assert len(planted.needles) > 1500
    sent = [json.loads(body) for session in batches for body in session]
    said = [event["eventData"] + event.get("url", "") for body in sent for event in body["events"]]
    assert len(planted.found_in("\n".join(said))) > 1300, "the search itself finds what is there"
    async with deck.client() as client:
        for body in sent:
            answer = await client.post(INGEST, content=json.dumps(body))
            assert answer.status_code == 202, answer.text
        listed = (await client.get("/api/v1/recordings")).json()["recordings"]
        ids = [one["id"] for one in listed]
        assert [one["status"] for one in listed] == ["uploading"] * len(batches)
        meanwhile = [one async for one in _answers(client, ids)]
        for id_ in ids:
            assert (await client.post(f"/api/v1/recordings/{id_}/finish")).status_code == 202
        found = await settled(client, ids)
        assert [one["status"] for one in found] == ["ready"] * len(ids)
        assert sum(sum(one["masked"].values()) for one in found) > 1300
        answers = [one async for one in _answers(client, ids)]
        await _rows_made(deck.database_url)
    places = {
        "answers while it is open": meanwhile,
        "answers": answers,
        "database": [one async for one in _database(deck.database_url)],
        "storage": _storage(Path(deck.storage_url.removeprefix("file://"))),
        "logs": deck.whole_logs(),
    }
    for place, texts in places.items():
        assert planted.found_in("\n".join(texts)) == {}, place


async def _want_rows(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("UPDATE project SET relational = true")
    await connection.close()


async def _rows_made(url: str) -> None:
    """Wait until every recording with a tape has its rows."""
    connection = await asyncpg.connect(url)
    missing = "SELECT count(*) FROM recording WHERE rows_tape_name IS DISTINCT FROM tape_name"
    while await connection.fetchval(missing):
        await asyncio.sleep(0.05)
    assert await connection.fetchval("SELECT count(*) FROM event") > 1000
    await connection.close()


async def _save_replay(client: httpx.AsyncClient, planted: Planted) -> str:
    answer = await client.post("/api/save-replay", content=complete_session(planted))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["replayId"])


async def _answers(client: httpx.AsyncClient, ids: list[str]) -> AsyncIterator[str]:
    yield (await client.get("/api/v1/recordings")).text
    for id_ in ids:
        url = f"/api/v1/recordings/{id_}"
        for path in ("", "/events", "/logs"):
            yield (await client.get(url + path)).text
        yield (await client.get(f"{url}/events", headers={"Accept": "application/x-ndjson"})).text
        yield (await client.get(f"{url}/events", params={"from_ms": 0, "to_ms": 5})).text
        yield (await client.post(f"{url}/mask", json={"dry_run": True})).text


async def _database(url: str) -> AsyncIterator[str]:
    """Every value of every table, as text; what is compressed, decompressed."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'public'"
        )
        assert len(tables) > 10
        for table in tables:
            for row in await connection.fetch(f"SELECT * FROM {table['name']}"):  # Postgres's own names
                for value in row.values():
                    yield _readable(value)
    finally:
        await connection.close()


def _storage(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [_readable(path.read_bytes()) for path in files]


def _readable(value: Any) -> str:
    if not isinstance(value, bytes):
        return str(value)
    if value.startswith(zstandard.MAGIC_NUMBER.to_bytes(4, "little")):
        value = zstandard.ZstdDecompressor().decompressobj().decompress(value)
    return value.decode("utf-8", "replace")
