"""A recording in chunks: open, events, finish."""

import asyncio
import json
import zlib
from typing import Any
from uuid import uuid4

import httpx
import pytest

from models.db import Database
from models.job import JobKind
from models.live import LiveTerms
from models.tenancy import Scope
from tests.api.conftest import Process, Serve
from tests.api.live import INGEST, batch, closed_for_idleness, only, send
from tests.api.served import Served
from tests.api.tenants import new_key, new_tenant
from tests.api.videos import Videos
from tests.factories import Deckhand, events, upload

PATH = "/api/v1/recordings"
MADE = events(12)


async def opened(client: httpx.AsyncClient, **fields: Any) -> str:
    """Open a recording. Returns its id."""
    answer = await client.post(PATH, content=upload([], open=True, **fields))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def append(client: httpx.AsyncClient, id_: str, seq: int, some: list[Any], status: int = 202) -> Any:
    answer = await client.post(f"{PATH}/{id_}/events", json={"seq": seq, "events": some})
    assert answer.status_code == status, answer.text
    return answer.json()


async def finish(client: httpx.AsyncClient, id_: str) -> httpx.Response:
    answer = await client.post(f"{PATH}/{id_}/finish")
    assert answer.status_code == 202, answer.text
    return answer


async def read(client: httpx.AsyncClient, id_: str) -> dict[str, Any]:
    document: dict[str, Any] = (await client.get(f"{PATH}/{id_}")).json()
    return document


async def events_of(client: httpx.AsyncClient, id_: str) -> Any:
    return (await client.get(f"{PATH}/{id_}/events")).json()


async def test_a_recording_in_chunks(
    ingest: httpx.AsyncClient, api: httpx.AsyncClient, process_it: Process
) -> None:
    id_ = await opened(ingest, name="In chunks")
    assert await events_of(api, id_) == []
    assert await append(ingest, id_, 1, MADE[5:9]) == {"id": id_, "seq": 1, "events_received": 4}
    await append(ingest, id_, 0, MADE[:5])
    assert await events_of(api, id_) == MADE[:9]
    await append(ingest, id_, 2, MADE[9:])
    document = await read(api, id_)
    assert (document["status"], document["source"], document["name"]) == ("uploading", "upload", "In chunks")
    answer = await finish(ingest, id_)
    assert answer.json() == {"id": id_, "status": "processing"}
    assert answer.headers["Location"] == f"{PATH}/{id_}"
    await process_it(id_)
    document = await read(api, id_)
    assert (document["status"], document["warnings"]) == ("ready", [])
    assert await events_of(api, id_) == MADE
    assert (await finish(ingest, id_)).json() == {"id": id_, "status": "ready"}


async def test_what_came_with_the_opening_is_first(api: httpx.AsyncClient, process_it: Process) -> None:
    answer = await api.post(PATH, content=upload(MADE[:3], open=True))
    id_ = answer.json()["id"]
    await append(api, id_, 0, MADE[3:])
    await finish(api, id_)
    await process_it(id_)
    assert await events_of(api, id_) == MADE


async def test_packed_events_are_seen_before_the_recording_is_closed(
    api: httpx.AsyncClient, process_it: Process
) -> None:
    id_ = await opened(api)
    snapshot = MADE[1] | {"data": MADE[1]["data"] | {"again": ["much the same"] * 10_000}}
    await append(api, id_, 0, [zlib.compress(json.dumps(snapshot | {"v": "v1"}).encode()).decode("latin-1")])
    so_far = await events_of(api, id_)
    assert [one["timestamp"] for one in so_far] == [MADE[1]["timestamp"]]
    await finish(api, id_)
    await process_it(id_)
    assert await events_of(api, id_) == so_far


async def test_a_chunk_comes_once(api: httpx.AsyncClient, process_it: Process) -> None:
    id_ = await opened(api)
    await asyncio.gather(*(append(api, id_, seq, [MADE[seq]]) for seq in [*range(12), *range(12)]))
    problem = await append(api, id_, 3, MADE[4:5], status=409)
    assert problem["code"] == "seq_conflict"
    await finish(api, id_)
    assert (await append(api, id_, 12, MADE[:1], status=409))["code"] == "recording_closed"
    assert (await append(api, id_, 3, MADE[4:5], status=409))["code"] == "recording_closed"
    await append(api, id_, 3, MADE[3:4])  # its answer was lost, say
    await process_it(id_)
    document = await read(api, id_)
    assert document["events"]["received"] == document["events"]["stored"] == 12
    await append(api, id_, 3, MADE[3:4])


async def test_chunks_that_never_came_are_named(api: httpx.AsyncClient, process_it: Process) -> None:
    id_ = await opened(api)
    for seq in (1, 3, 7):
        await append(api, id_, seq, [MADE[seq]])
    await finish(api, id_)
    await process_it(id_)
    (warning,) = [one for one in (await read(api, id_))["warnings"] if one["code"] == "seq_gap"]
    assert warning["count"] == 5
    assert warning["message"] == "These chunks never came: 0, 2, 4 to 6."


async def test_a_recording_without_events_fails(api: httpx.AsyncClient, process_it: Process) -> None:
    id_ = await opened(api)
    await finish(api, id_)
    await process_it(id_)
    document = await read(api, id_)
    assert (document["status"], document["failure"]["code"]) == ("failed", "no_valid_events")


async def test_a_client_that_never_finishes(
    api: httpx.AsyncClient, database: Database, process_it: Process
) -> None:
    id_ = await opened(api)
    await append(api, id_, 0, MADE)
    assert await closed_for_idleness(database, id_, LiveTerms(idle_s=0, max_s=60, max_bytes=1 << 20))
    await process_it(id_)
    assert (await read(api, id_))["status"] == "ready"


async def test_it_may_be_no_larger(serve: Serve, hand: Deckhand) -> None:
    async with serve(session_max_bytes=1000).client(hand.keys.api_key) as client:
        id_ = await opened(client)
        await append(client, id_, 0, MADE)
        assert (await append(client, id_, 1, MADE, status=409))["code"] == "recording_closed"
        assert (await read(client, id_))["status"] == "processing"


async def test_a_finished_session_takes_no_chunks(ingest: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    await send(ingest, batch(0))
    id_ = (await only(api))["id"]
    assert (await append(ingest, id_, 0, MADE, status=409))["code"] == "recording_closed"
    assert (await finish(ingest, id_)).json()["status"] == "processing"
    answer = await api.post(PATH, content=upload())
    assert (await append(api, answer.json()["id"], 0, MADE, status=409))["code"] == "recording_closed"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["seq", "events"]),
        ({"seq": -1, "events": [{}]}, ["seq"]),
        ({"seq": 0, "events": []}, ["events"]),
        ({"seq": 0, "events": [{}, 7]}, ["events[1]"]),
        ({"seq": 0, "events": [{}], "console_logs": [7]}, ["console_logs[0]"]),
    ],
)
async def test_what_is_wrong_is_named(api: httpx.AsyncClient, body: Any, fields: list[str]) -> None:
    id_ = await opened(api)
    answer = await api.post(f"{PATH}/{id_}/events", content=json.dumps(body))
    assert answer.status_code == 400
    assert [one["field"] for one in answer.json()["errors"]] == fields
    assert await events_of(api, id_) == []


async def test_only_who_opened_it_may_add_to_it(
    web: Served, ingest: httpx.AsyncClient, hand: Deckhand, database: Database
) -> None:
    id_ = await opened(ingest)
    stranger = await new_tenant(database)
    other = await new_key(database, hand, Scope.INGEST)
    for key, unknown in ((stranger.keys.api_key, id_), (other, id_), (other, str(uuid4()))):
        async with web.client(key) as client:
            await append(client, unknown, 0, MADE, status=404)
            assert (await client.post(f"{PATH}/{unknown}/finish")).status_code == 404
    reader = await new_key(database, hand, Scope.READ)
    async with web.client(reader) as client:
        await append(client, id_, 0, MADE, status=403)


async def test_a_video_beside_chunks(videos: Videos) -> None:
    """It may be confirmed before or after the events are finished: it is ready when both are there."""
    for video_first in (True, False):
        answer = await videos.api.post(PATH, content=upload([], open=True, has_video=True))
        id_ = answer.json()["id"]
        await videos.put(answer.json()["video_upload_url"])
        await append(videos.api, id_, 0, MADE)
        confirm = f"{PATH}/{id_}/confirm-video"
        if video_first:
            assert (await videos.api.post(confirm)).json()["status"] == "uploading"
            assert (await finish(videos.api, id_)).json()["status"] == "processing"
        else:
            assert (await finish(videos.api, id_)).json()["status"] == "uploading"
            assert (await videos.api.post(confirm)).json()["status"] == "processing"
        document = await videos.work(f"{PATH}/{id_}", JobKind.PROCESS, JobKind.VERIFY_VIDEO)
        assert document["status"] == "ready"


async def test_an_ingest_door_is_no_chunk_door(ingest: httpx.AsyncClient) -> None:
    id_ = await opened(ingest)
    assert (await ingest.post(INGEST, json={"seq": 0, "events": MADE})).status_code == 422
    assert (await ingest.post(f"{PATH}/{id_}/events", json=batch(0))).status_code == 400
