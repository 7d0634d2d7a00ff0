"""The Idempotency-Key of POST /api/v1/recordings."""

import asyncio
import gzip

import httpx
import pytest
from sqlalchemy import text

from models.db import Database
from models.ids import new_id
from models.recording import IdempotencyKey
from tests.api.conftest import Serve
from tests.api.test_create import PATH, refusal
from tests.factories import Deckhand, upload

KEY = {"Idempotency-Key": "k1"}


async def count(db: Database) -> int:
    async with db.autocommit() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM recording"))).scalar_one())


async def test_the_same_key_and_body_give_the_first_answer_again(
    api: httpx.AsyncClient, database: Database
) -> None:
    first = await api.post(PATH, content=upload(), headers=KEY)
    again = await api.post(PATH, content=gzip.compress(upload()), headers=KEY | {"Content-Encoding": "gzip"})
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert first.headers["Location"] == again.headers["Location"]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await count(database) == 1


async def test_the_same_key_with_another_body_is_refused(api: httpx.AsyncClient, database: Database) -> None:
    await api.post(PATH, content=upload(), headers=KEY)
    reused = await api.post(PATH, content=upload(name="another"), headers=KEY)
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    assert await count(database) == 1


async def test_a_race_of_the_same_request_makes_one_recording(
    api: httpx.AsyncClient, database: Database
) -> None:
    answers = await asyncio.gather(*(api.post(PATH, content=upload(), headers=KEY) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 9
    assert await count(database) == 1


async def test_a_race_with_different_bodies_has_one_winner(
    api: httpx.AsyncClient, database: Database
) -> None:
    bodies = [upload(name=str(number)) for number in range(6)]
    answers = await asyncio.gather(*(api.post(PATH, content=body, headers=KEY) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201] + 5 * [422]
    assert await count(database) == 1


async def test_while_the_first_request_is_being_accepted_the_second_waits_then_is_told(
    serve: Serve, hand: Deckhand, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.assembly.DATABASE_LIMIT_S", 1)
    async with serve().client(hand.keys.api_key) as api, database.transaction() as session:
        first = IdempotencyKey(
            project_id=hand.api_key.project_id, key="k1", body_hash=b"", recording_id=new_id()
        )
        session.add(first)
        await session.flush()  # and no commit yet
        answer = await api.post(PATH, content=upload(), headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_in_progress")
    assert int(answer.headers["Retry-After"]) > 0


async def test_a_key_outlives_the_recording(api: httpx.AsyncClient) -> None:
    first = await api.post(PATH, content=upload(), headers=KEY)
    assert (await api.delete(first.headers["Location"])).status_code == 204
    again = await api.post(PATH, content=upload(), headers=KEY)
    assert again.json() == first.json()
    assert (await api.get(first.headers["Location"])).status_code == 404


async def test_a_refused_request_does_not_use_up_its_key(api: httpx.AsyncClient) -> None:
    await refusal(api, b"{", **KEY)
    assert (await api.post(PATH, content=upload(), headers=KEY)).status_code == 201


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_a_key_has_1_to_255_characters(api: httpx.AsyncClient, key: str) -> None:
    problem = await refusal(api, upload(), **{"Idempotency-Key": key})
    assert problem["errors"][0]["field"] == "Idempotency-Key"


async def test_the_longest_key_is_accepted(api: httpx.AsyncClient) -> None:
    answer = await api.post(PATH, content=upload(), headers={"Idempotency-Key": "k" * 255})
    assert answer.status_code == 201
