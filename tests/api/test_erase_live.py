"""Erasing and keeping live sessions: open ones, closed ones, and what comes meanwhile."""

import asyncio
from uuid import UUID

import httpx
from sqlalchemy import text

from models import administration, deletion, sweep
from models.db import Database
from models.job import JobKind
from tests.api.conftest import Process
from tests.api.erasing import Hands, erase
from tests.api.live import SESSION, batch, numbers, only, recordings, send
from tests.factories import Deckhand, job_of

UNREADABLE = {"eventType": "rrweb", "eventData": "none", "timestampMillis": 1}


async def rows(database: Database, table: str) -> int:
    async with database.autocommit() as connection:
        return int((await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())


async def certified(api: httpx.AsyncClient, hands: Hands, where: str) -> set[str]:
    """Carry an erasure out. Returns what its certificate says is erased."""
    await hands.finish()
    done = (await api.get(where)).json()
    assert done["state"] == "done"
    assert done["certificate"]["tallies"]["unchanged"]
    assert "batch" in done["certificate"]["tables"]
    return {one["id"] for one in done["certificate"]["recordings"]}


async def test_a_session_is_erased_open_closed_and_failed(
    ingest: httpx.AsyncClient,
    api: httpx.AsyncClient,
    process_it: Process,
    hands: Hands,
    database: Database,
) -> None:
    await send(ingest, batch(0, final=True))
    await process_it((await only(api))["id"])
    await send(ingest, batch() | {"events": [UNREADABLE], "final": True})
    await process_it((await recordings(api))[-1]["id"])
    await send(ingest, batch(1, final=True))
    await send(ingest, batch(2))
    await send(ingest, batch(3))
    await send(ingest, batch(0, session="another"))
    found = await recordings(api)
    assert [one["status"] for one in found] == ["ready", "failed", "processing", "uploading"]
    seen = (await erase(api, session_id=SESSION, dry_run=True)).json()
    assert seen["recordings"] == 4
    answer = await erase(api, session_id=SESSION)
    assert await certified(api, hands, answer.headers["Location"]) == {one["id"] for one in found}
    assert await recordings(api) == []
    other = await only(api, "another")
    assert await numbers(api, other["id"]) == [0]
    assert await rows(database, "batch") == await rows(database, "payload") == 1


async def test_batches_that_come_during_an_erasure_came_after_the_request(
    ingest: httpx.AsyncClient, api: httpx.AsyncClient, process_it: Process, hands: Hands
) -> None:
    await send(ingest, batch(0))
    gone = (await only(api))["id"]
    where = (await erase(api, session_id=SESSION)).headers["Location"]
    await send(ingest, batch(1))  # nobody has come by yet: this goes with the rest
    assert await numbers(api, gone) == [0, 1]
    sent, _ = await asyncio.gather(send(ingest, batch(2)), hands.advance())
    assert sent.status_code == 202
    await send(ingest, batch(3))
    await send(ingest, batch(0))  # again, while it is known still: it stays erased
    assert await certified(api, hands, where) == {gone}
    after = await only(api)
    assert after["id"] != gone
    assert after["continues"] is None
    assert (await numbers(api, after["id"]))[-1] == 3
    assert set(await numbers(api, after["id"])) <= {2, 3}
    await send(ingest, batch(0))  # now nothing is left that would know it
    await api.post(f"/api/v1/recordings/{after['id']}/finish")
    await process_it(after["id"])
    assert 0 in await numbers(api, after["id"])


async def test_the_fingerprint_of_the_first_batch_counts(
    ingest: httpx.AsyncClient, api: httpx.AsyncClient, hands: Hands
) -> None:
    await send(ingest, batch(0, fingerprint="first"))
    await send(ingest, batch(1, fingerprint="second"))
    await send(ingest, batch(2, session="another", fingerprint="second"))
    one, other = await only(api), await only(api, "another")
    assert (one["fingerprint"], other["fingerprint"]) == ("first", "second")
    answer = await erase(api, fingerprint="second")
    assert await certified(api, hands, answer.headers["Location"]) == {other["id"]}
    answer = await erase(api, fingerprint="first")
    assert await certified(api, hands, answer.headers["Location"]) == {one["id"]}


async def test_a_hold_keeps_an_open_session_open(
    ingest: httpx.AsyncClient, api: httpx.AsyncClient, hands: Hands
) -> None:
    await send(ingest, batch(0))
    held = (await only(api))["id"]
    assert (await api.put(f"/api/v1/recordings/{held}/hold")).status_code == 204
    answer = await erase(api, session_id=SESSION)
    assert await certified(api, hands, answer.headers["Location"]) == set()
    await send(ingest, batch(1))
    assert await numbers(api, held) == [0, 1]


async def test_a_project_s_time_counts_from_the_first_batch(
    ingest: httpx.AsyncClient, api: httpx.AsyncClient, hand: Deckhand, database: Database
) -> None:
    """An open session goes when its time is over, whatever came since; what comes then is new."""
    await send(ingest, batch(0))
    old = (await only(api))["id"]
    await administration.set_retention(database, hand.api_key.project_id, 1)
    assert await sweep.expired_recordings(database, limit=10) == []
    await administration.set_retention(database, hand.api_key.project_id, 1e-9)
    await send(ingest, batch(1))
    ((tenant_id, expired),) = await sweep.expired_recordings(database, limit=10)
    assert str(expired) == old
    await deletion.delete_recording(database, tenant_id, expired)
    await send(ingest, batch(2))
    new = await only(api)
    assert (new["continues"], await numbers(api, new["id"])) == (None, [2])


async def test_the_payload_of_a_failed_session_is_kept_for_a_time(
    ingest: httpx.AsyncClient, api: httpx.AsyncClient, process_it: Process, database: Database
) -> None:
    await send(ingest, batch() | {"events": [UNREADABLE]})
    await send(ingest, batch() | {"events": [UNREADABLE | {"eventData": "nor this"}], "final": True})
    id_ = (await only(api))["id"]
    await process_it(id_)
    assert (await only(api))["failure"]["code"] == "no_valid_events"
    assert await rows(database, "payload") == 2
    assert (await api.post(f"/api/v1/recordings/{id_}/retry")).json()["status"] == "processing"
    await process_it(id_)
    assert await sweep.drop_failed_payloads(database, days=0, limit=10) == 1
    assert await rows(database, "payload") == 0
    again = await api.post(f"/api/v1/recordings/{id_}/retry")
    assert (again.status_code, again.json()["code"]) == (409, "payload_expired")
    assert await job_of(database, UUID(id_), JobKind.PROCESS)  # the dead one
