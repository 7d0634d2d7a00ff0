"""POST /ingest/v1/replay: what is taken, what is refused, and one session, one recording."""

import asyncio
import gzip
import json
import re
from typing import Any
from uuid import uuid4

import httpx
import pytest
import zstandard
from sqlalchemy import text

from models.db import Database
from models.live import LiveTerms
from models.tenancy import Scope, hash_secret
from tests.api.conftest import Process, Serve
from tests.api.live import (
    INGEST,
    SESSION,
    batch,
    closed_for_idleness,
    event,
    numbers,
    only,
    recordings,
    row_of,
    send,
)
from tests.api.served import Served
from tests.api.tenants import new_key, new_tenant
from tests.factories import START_MS, Deckhand, events

TERMS = LiveTerms(idle_s=60, max_s=3600, max_bytes=1 << 20)


def failed(answer: httpx.Response, code: str) -> dict[str, Any]:
    """The error of an answer that has an error's envelope."""
    body = answer.json()
    assert list(body) == ["success", "error", "meta"]
    assert body["success"] is False
    assert body["error"]["code"] == code
    told(answer)
    error: dict[str, Any] = body["error"]
    return error


def told(answer: httpx.Response) -> None:
    meta = answer.json()["meta"]
    assert list(meta) == ["requestId", "timestamp"]
    assert meta["requestId"] == answer.headers["X-Request-Id"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", meta["timestamp"])


async def test_a_batch_is_accepted(ingest: httpx.AsyncClient) -> None:
    request_id = str(uuid4())
    answer = await send(ingest, batch(0, 1, 2), **{"X-Request-Id": request_id})
    assert answer.json() == {
        "success": True,
        "data": {"eventsReceived": 3},
        "meta": {"requestId": request_id, "timestamp": answer.json()["meta"]["timestamp"]},
    }
    told(answer)


@pytest.mark.parametrize("encoding", ["identity", "gzip", "zstd"])
@pytest.mark.parametrize("media_type", ["application/json", "text/plain;charset=UTF-8", None])
async def test_bodies_come_as_browsers_send_them(
    ingest: httpx.AsyncClient, api: httpx.AsyncClient, encoding: str, media_type: str | None
) -> None:
    encode = {"identity": bytes, "gzip": gzip.compress, "zstd": zstandard.compress}[encoding]
    headers = {"Content-Encoding": encoding} | ({"Content-Type": media_type} if media_type else {})
    body = encode(json.dumps(batch(7)).encode())
    answer = await ingest.post(INGEST, content=body, headers=headers)
    assert answer.status_code == 202, answer.text
    assert await numbers(api, (await only(api))["id"]) == [7]


async def test_a_form_is_no_batch(ingest: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await ingest.post(INGEST, content=b"a=b", headers=headers)
    assert answer.status_code == 415
    failed(answer, "UNSUPPORTED_MEDIA_TYPE")
    answer = await ingest.post(INGEST, json=batch(0), headers={"Content-Encoding": "br"})
    assert answer.status_code == 415
    failed(answer, "UNSUPPORTED_MEDIA_TYPE")


async def test_keys_come_as_sdks_send_them(
    anyone: httpx.AsyncClient, hand: Deckhand, database: Database
) -> None:
    key, everything = hand.keys.ingest_key, hand.keys.api_key
    ways: list[dict[str, Any]] = [
        {"headers": {"Authorization": f"Bearer {key}"}},
        {"headers": {"Authorization": key}},
        {"headers": {"X-API-Key": key}},
        {"headers": {"X-SeeStack-Key": key}},
        {"params": {"api_key": key}},
    ]
    for way in ways:
        assert (await anyone.post(INGEST, json=batch(0), **way)).status_code == 202
    for wrong in ({}, {"headers": {"Authorization": "nonsense"}}, {"params": {"api_key": "tdk_nonsense"}}):
        answer = await anyone.post(INGEST, json=batch(0), **wrong)
        assert answer.status_code == 401
        assert failed(answer, "INVALID_API_KEY")["message"] == "Invalid or missing API key"
    answer = await anyone.post(INGEST, json=batch(0), params={"api_key": everything})
    assert answer.status_code == 403
    failed(answer, "FORBIDDEN")
    reader = await new_key(database, hand, Scope.READ)
    answer = await anyone.post(INGEST, json=batch(0), headers={"X-API-Key": reader})
    assert answer.status_code == 403
    failed(answer, "FORBIDDEN")


@pytest.mark.parametrize(
    ("body", "details"),
    [
        (
            {},
            {
                "fingerprint": "must not be blank",
                "sessionId": "must not be blank",
                "events": "must not be empty",
            },
        ),
        (batch(0) | {"sessionId": " "}, {"sessionId": "must not be blank"}),
        (batch(0, 1) | {"events": []}, {"events": "must not be empty"}),
    ],
)
async def test_what_is_wrong_is_named(
    ingest: httpx.AsyncClient, database: Database, body: Any, details: dict[str, str]
) -> None:
    answer = await ingest.post(INGEST, json=body)
    assert answer.status_code == 422
    error = failed(answer, "VALIDATION_ERROR")
    assert error["message"] == "Validation failed"
    assert error["details"] == details
    async with database.autocommit() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM recording"))).scalar_one() == 0


async def test_one_bad_event_refuses_the_batch(ingest: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    bad = batch(0, 1)
    del bad["events"][1]["timestampMillis"]
    answer = await ingest.post(INGEST, json=bad)
    assert answer.status_code == 422
    assert list(failed(answer, "VALIDATION_ERROR")["details"]) == ["events[1].timestampMillis"]
    answer = await ingest.post(INGEST, content=b"{")
    assert answer.status_code == 422
    assert list(failed(answer, "VALIDATION_ERROR")["details"]) == ["body"]
    assert await recordings(api) == []


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", INGEST, 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", f"{INGEST}/", 405, "METHOD_NOT_ALLOWED"),
        ("POST", f"{INGEST}/more", 404, "NOT_FOUND"),
        ("POST", "/ingest/v2/replay", 404, "NOT_FOUND"),
    ],
)
async def test_what_there_is_not_is_told_in_the_same_form(
    anyone: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await anyone.request(method, path)
    assert answer.status_code == status
    failed(answer, code)


async def test_a_body_may_be_too_large(serve: Serve, hand: Deckhand) -> None:
    async with serve(max_body_bytes=1000).client(hand.keys.ingest_key) as client:
        answer = await client.post(INGEST, json=batch(*range(100)))
        assert answer.status_code == 413
        failed(answer, "PAYLOAD_TOO_LARGE")


async def test_pages_of_other_sites_may_send(anyone: httpx.AsyncClient, hand: Deckhand) -> None:
    preflight = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, x-seestack-key",
    }
    answer = await anyone.options(INGEST, headers=preflight)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "x-seestack-key" in answer.headers["Access-Control-Allow-Headers"]
    headers = {"Origin": "https://shop.example", "X-SeeStack-Key": hand.keys.ingest_key}
    answer = await anyone.post(INGEST, json=batch(0), headers=headers)
    assert answer.status_code == 202
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_a_session_is_one_recording(
    ingest: httpx.AsyncClient, api: httpx.AsyncClient, process_it: Process
) -> None:
    await send(ingest, batch(5, 6))
    await send(ingest, batch(0, 1))
    await send(ingest, batch(5, 6))
    one = await only(api)
    assert one["status"] == "uploading"
    assert (one["source"], one["session_id"], one["fingerprint"]) == ("stream", SESSION, "fp_1")
    await send(ingest, batch(1, 2, final=True))
    one = await only(api)
    assert one["status"] == "processing"
    await process_it(one["id"])
    one = await only(api)
    assert one["status"] == "ready"
    assert await numbers(api, one["id"]) == [0, 1, 2, 5, 6]
    # A batch that is sent again is dropped at the door; one that is sent again in part, event by event.
    received = {"received": 6, "stored": 5, "duplicate": 1, "rejected": 0}
    assert {name: one["events"][name] for name in received} == received
    assert one["started_at"] == "2023-11-14T22:13:20Z"
    assert one["duration_ms"] == 6000


async def test_batches_that_come_at_once_are_one_recording(
    ingest: httpx.AsyncClient, api: httpx.AsyncClient, process_it: Process
) -> None:
    await asyncio.gather(*(send(ingest, batch(n)) for n in [*range(16), *range(16)]))
    one = await only(api)
    assert (await api.post(f"/api/v1/recordings/{one['id']}/finish")).status_code == 202
    await process_it(one["id"])
    assert await numbers(api, one["id"]) == list(range(16))


async def test_a_closed_session_is_continued(
    ingest: httpx.AsyncClient, api: httpx.AsyncClient, process_it: Process
) -> None:
    await send(ingest, batch(0, 1))
    await send(ingest, batch(2, final=True))
    first = await only(api)
    for again in (batch(0, 1), batch(2, final=True)):
        await send(ingest, again)
        assert (await only(api))["id"] == first["id"]
    await process_it(first["id"])
    await send(ingest, batch(0, 1))
    assert (await only(api))["status"] == "ready"
    await send(ingest, batch(3))
    _, second = await recordings(api)
    assert second["continues"] == first["id"]
    assert await numbers(api, second["id"]) == [3]


async def test_one_session_id_in_two_projects(
    web: Served, ingest: httpx.AsyncClient, api: httpx.AsyncClient, database: Database
) -> None:
    await send(ingest, batch(0))
    stranger = await new_tenant(database)
    async with web.client(stranger.keys.api_key) as other:
        await send(other, batch(1))
        assert await numbers(other, (await only(other))["id"]) == [1]
    assert await numbers(api, (await only(api))["id"]) == [0]


async def test_a_session_may_be_no_larger_and_no_older(serve: Serve, hand: Deckhand) -> None:
    for limit in ({"session_max_bytes": 300}, {"session_max_s": 1e-6}):
        session = str(limit)
        async with serve(**limit).client(hand.keys.api_key) as client:
            for n in range(8):
                await send(client, batch(n, session=session))
            found = await recordings(client, session)
            assert len(found) > 1
            assert [one["continues"] for one in found] == [None, *(one["id"] for one in found[:-1])]
            assert {one["status"] for one in found[:-1]} == {"processing"}


async def test_a_session_that_is_idle_is_closed(
    ingest: httpx.AsyncClient, api: httpx.AsyncClient, database: Database, process_it: Process
) -> None:
    await send(ingest, batch(0))
    id_ = (await only(api))["id"]
    assert not await closed_for_idleness(database, id_, TERMS)
    assert (await row_of(database, id_)).is_open
    async with database.transaction() as session:
        await session.execute(text("UPDATE batch SET received_at = now() - interval '61 seconds'"))
    assert await closed_for_idleness(database, id_, TERMS)
    assert (await only(api))["status"] == "processing"
    await process_it(id_)
    assert (await only(api))["status"] == "ready"


async def test_batches_never_update_the_recording(ingest: httpx.AsyncClient, database: Database) -> None:
    await send(ingest, batch(0))

    async def version() -> object:
        async with database.autocommit() as connection:
            return (await connection.execute(text("SELECT ctid::text, updated_at FROM recording"))).one()

    before = await version()
    for n in range(1, 5):
        await send(ingest, batch(n))
    assert await version() == before


async def test_a_key_that_is_revoked_in_mid_session(
    web: Served, api: httpx.AsyncClient, hand: Deckhand, database: Database, process_it: Process
) -> None:
    key = await new_key(database, hand, Scope.INGEST)
    async with web.client(key) as sdk:
        await send(sdk, batch(0))
        async with database.transaction() as session:
            revoked = text("UPDATE api_key SET revoked_at = now() WHERE secret_hash = :hash")
            await session.execute(revoked, {"hash": hash_secret(key)})
        answer = await sdk.post(INGEST, json=batch(1))
        assert answer.status_code == 401
        failed(answer, "INVALID_API_KEY")
    id_ = (await only(api))["id"]
    async with database.transaction() as session:
        await session.execute(text("UPDATE batch SET received_at = now() - interval '61 seconds'"))
    assert await closed_for_idleness(database, id_, TERMS)
    await process_it(id_)
    assert await numbers(api, id_) == [0]


async def test_an_open_session_can_be_watched(ingest: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    await send(ingest, batch(1))
    id_ = (await only(api))["id"]
    answer = await api.get(f"/api/v1/recordings/{id_}/events")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers
    assert await numbers(api, id_) == [1]
    await send(ingest, batch(0))
    assert await numbers(api, id_) == [0, 1]
    late = await api.get(f"/api/v1/recordings/{id_}/events", params={"from_ms": 500})
    assert [one["data"]["payload"]["n"] for one in late.json()] == [1]
    lines = await api.get(f"/api/v1/recordings/{id_}/events", headers={"Accept": "application/x-ndjson"})
    assert len(lines.text.splitlines()) == 2


async def test_what_an_open_session_shows_is_masked(
    ingest: httpx.AsyncClient, api: httpx.AsyncClient
) -> None:
    secret = "4111 1111 1111 1111"
    body = batch() | {"events": [event(0, "console", args=[secret])]}
    await send(ingest, body)
    answer = await api.get(f"/api/v1/recordings/{(await only(api))['id']}/events")
    assert secret not in answer.text
    assert "console" in answer.text


async def test_rrweb_events_come_through(ingest: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    made = events()
    wrapped = [
        {"eventType": "rrweb", "eventData": json.dumps(one), "timestampMillis": one["timestamp"]}
        for one in made
    ]
    await send(ingest, batch() | {"events": wrapped})
    answer = await api.get(f"/api/v1/recordings/{(await only(api))['id']}/events")
    assert answer.json() == made


async def test_a_batch_of_a_hundred_thousand_events(
    ingest: httpx.AsyncClient, api: httpx.AsyncClient, process_it: Process
) -> None:
    many = [
        {"eventType": "scroll", "eventData": "{}", "timestampMillis": START_MS + n} for n in range(100_000)
    ]
    await send(ingest, batch() | {"events": many, "final": True})
    one = await only(api)
    await process_it(one["id"])
    assert (await only(api))["event_count"] == 100_000


async def test_a_deleted_session_is_begun_anew(ingest: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    await send(ingest, batch(0))
    first = await only(api)
    assert (await api.delete(f"/api/v1/recordings/{first['id']}")).status_code == 204
    await send(ingest, batch(1))
    second = await only(api)
    assert second["id"] != first["id"]
    assert second["continues"] is None
