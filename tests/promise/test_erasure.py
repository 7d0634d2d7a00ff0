"""What is to go goes, for good, whoever is killed on the way: erasures end in a certificate, retention is kept."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest

from models import administration
from models.breakers import BreakerState
from models.db import Database
from models.job import JobKind
from tests.gcs_emulator import Emulator
from tests.promise.dust import IN_A_HURRY, LARGE, breaker, nothing_left_over, running, send, settled
from tests.promise.test_promise import MakeDeck, objects_of
from tests.promise.test_video import LONG, announce
from tests.promise.test_video import send as send_video

pytestmark = pytest.mark.timeout(300)  # real processes, killed and started, on whatever machine there is


async def erase(client: httpx.AsyncClient, **subject: Any) -> str:
    answer = await client.post("/api/v1/erasures", json=subject)
    assert answer.status_code == 202, answer.text
    return answer.headers["Location"]


async def certified(client: httpx.AsyncClient, where: str) -> dict[str, Any]:
    """The erasure once it is done, whatever the service answers meanwhile."""
    while True:
        try:
            answer = await client.get(where)
        except httpx.TransportError:
            continue
        if answer.is_success and answer.json()["state"] == "done":
            done: dict[str, Any] = answer.json()
            assert done["certificate"]["tallies"]["unchanged"]
            return done
        await asyncio.sleep(0.1)


async def my_user(client: httpx.AsyncClient, id_: str) -> dict[str, str]:
    """Whoever sent this recording, as the subject of an erasure."""
    return {"user_id": (await client.get(f"/api/v1/recordings/{id_}")).json()["user_id"]}


async def test_an_erasure_ends_in_a_certificate_whatever_is_at_work_and_whoever_is_killed(
    make_deck: MakeDeck,
) -> None:
    deck = make_deck(**IN_A_HURRY)
    await deck.start()
    async with deck.client() as client:
        ready = [await send(client) for _ in range(3)]
        await settled(client, ready)
        held = ready.pop()
        assert (await client.put(f"/api/v1/recordings/{held}/hold")).status_code == 204
        awaited = (await announce(client))["id"]
        verifying = await send_video(client, LONG)
        await running(deck.database_url, JobKind.VERIFY_VIDEO)
        at_work = [await send(client, LARGE) for _ in range(2)]
        await running(deck.database_url)
        subject = await my_user(client, held)
        both = await asyncio.gather(erase(client, **subject), erase(client, **subject))
        deck.kill("worker")
        deck.kill("dispatcher")
        later = await send(client)
        await deck.start("worker", "dispatcher")
        first, second = [await certified(client, where) for where in both]
        gone = {*ready, awaited, verifying, *at_work}
        assert {one["id"] for one in first["certificate"]["recordings"]} == gone
        assert {one["id"] for one in second["certificate"]["recordings"]} <= gone
        assert first["on_hold"] == second["on_hold"] == [held]
        assert [one["status"] for one in await settled(client, [held, later])] == ["ready"] * 2
    await nothing_left_over(deck.database_url, objects_of(deck))
    kept = {path.parent.name for path in objects_of(deck).rglob("*") if path.is_file()}
    assert not kept & gone


async def test_storage_may_be_away_while_an_erasure_goes_on(make_deck: MakeDeck, bucket: Emulator) -> None:
    deck = make_deck(bucket.storage_url, **IN_A_HURRY, STORAGE_EMULATOR_HOST=bucket.host)
    await deck.start()
    async with deck.client() as client:
        ids = [await send(client) for _ in range(3)]
        await settled(client, ids)
        bucket.freeze()
        where = await erase(client, **await my_user(client, ids[0]))
        await breaker(deck.database_url, BreakerState.OPEN)
        assert (await client.get(where)).json()["state"] == "running"
        bucket.thaw()
        done = await certified(client, where)
        assert [one["id"] for one in done["certificate"]["recordings"]] == ids
    await nothing_left_over(deck.database_url)


async def test_a_project_keeps_recordings_as_long_as_it_says(make_deck: MakeDeck) -> None:
    deck = make_deck(**IN_A_HURRY)
    await deck.start()
    async with deck.client() as client:
        ids = [await send(client) for _ in range(5)]
        project_id = UUID((await settled(client, ids))[0]["project_id"])
        held = ids.pop()
        assert (await client.put(f"/api/v1/recordings/{held}/hold")).status_code == 204
        database = Database(deck.database_url)
        await administration.set_retention(database, project_id, 1 / 86400)
        await database.close()
        for id_ in ids:
            while (await client.get(f"/api/v1/recordings/{id_}")).status_code != 404:
                await asyncio.sleep(0.1)
        assert (await client.get(f"/api/v1/recordings/{held}")).status_code == 200
    await nothing_left_over(deck.database_url, objects_of(deck))
    kept = {path.parent.name for path in objects_of(deck).rglob("*") if path.is_file()}
    assert kept & {*ids, held} == {held}
