"""The cap on what waits in Postgres: past it nothing is let in, and nothing that was is touched."""

import asyncio

import httpx
import pytest

from app import pending
from models.db import Database
from tests.api.conftest import Process, Serve
from tests.api.test_bodies import head
from tests.api.test_create import PATH, rows
from tests.api.test_save_replay import SAVE, session
from tests.factories import Deckhand, accepted, upload

BODY = upload()


async def post_when_let_in(api: httpx.AsyncClient) -> httpx.Response:
    """The answer that is no 503, at last."""
    while (answer := await api.post(PATH, content=BODY)).status_code == 503:
        await asyncio.sleep(0.02)
    return answer


async def test_past_the_cap_is_503_before_the_body_is_read_until_something_was_processed(
    serve: Serve,
    hand: Deckhand,
    database: Database,
    process_it: Process,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pending, "EVERY_S", 0.05)
    waiting = await accepted(database, hand)
    before = await rows(database)
    web = serve(pending_max_bytes=1)
    reader, writer = await asyncio.open_connection(web.host, web.port)
    writer.write(head(hand, "Content-Length: 1000"))  # and not one byte of it
    assert b" 503 " in await asyncio.wait_for(reader.readuntil(b"\r\n"), 20)
    writer.close()
    async with web.client(hand.keys.api_key) as api:
        answer = await api.post(PATH, content=BODY)
        assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        saved = await api.post(SAVE, content=session())
        assert (saved.status_code, set(saved.json())) == (503, {"message"})
        assert saved.headers["Retry-After"]
        assert await rows(database) == before
        assert (await api.get(f"{PATH}/{waiting}")).json()["status"] == "uploading"
        await process_it(waiting)
        assert (await post_when_let_in(api)).status_code == 201


async def test_what_a_process_accepted_counts_at_once(
    serve: Serve, hand: Deckhand, process_it: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = serve(pending_max_bytes=1)
    monkeypatch.setattr(pending, "EVERY_S", 0.05)
    async with web.client(hand.keys.api_key) as api:
        first = await api.post(PATH, content=BODY)
        assert first.status_code == 201
        assert (await api.post(PATH, content=BODY)).status_code == 503
        await process_it(first.json()["id"])
        assert (await post_when_let_in(api)).status_code == 201


async def test_the_cap_counts_what_is_accepted_at_the_same_time(
    serve: Serve, hand: Deckhand, database: Database
) -> None:
    web = serve(pending_max_bytes=1)
    async with web.client(hand.keys.api_key) as api:
        answers = await asyncio.gather(*(api.post(PATH, content=BODY) for _ in range(20)))
    assert sorted({answer.status_code for answer in answers}) == [201, 503]
    assert [answer.status_code for answer in answers].count(201) == 1
    assert await rows(database) == 3
