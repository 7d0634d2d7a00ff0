"""GET /api/v1/recordings/{id}: one recording, revalidated, waited for."""

import asyncio
import time
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from app import waiting
from models import lifecycle
from models.db import Database
from models.tenancy import Scope
from tests.api.conftest import Process
from tests.api.served import Served
from tests.api.tenants import new_key, new_tenant
from tests.api.test_create import PATH
from tests.factories import Deckhand, events, job_of, upload

FIELDS = [
    "id", "tenant_id", "project_id", "user_id", "name", "status", "started_at", "ended_at", "duration_ms",
    "event_count", "has_video", "has_audio", "navigations", "journey_id", "created_at", "updated_at", "source",
    "session_id", "fingerprint", "continues", "failure", "playable", "warnings", "events", "summary", "masked", "video",
]  # fmt: skip


BUSY = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tapedeck-web' AND state <> 'idle'"


async def create(api: httpx.AsyncClient, body: bytes | None = None) -> str:
    """The path of a new recording."""
    answer = await api.post(PATH, content=body or upload())
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


def id_in(path: str) -> UUID:
    return UUID(path.rpartition("/")[2])


async def begin(database: Database, path: str) -> None:
    """Let a worker take the recording's job, so that it is processing."""
    job = await job_of(database, id_in(path))
    assert job
    assert await lifecycle.claim(database, job.id, worker="test", lease_s=60, put_deadline_s=60)


async def test_a_ready_recording_has_every_field_in_order(
    api: httpx.AsyncClient, process_it: Process, hand: Deckhand
) -> None:
    body = upload([*events(5), {"type": 3}], name="Login flow", event_count=7, client_info={"os": "x"})
    path = await create(api, body)
    await process_it(id_in(path))
    answer = await api.get(path)
    read: dict[str, Any] = answer.json()
    assert list(read) == FIELDS
    assert read["status"] == "ready"
    assert (read["event_count"], read["duration_ms"]) == (5, 3000)
    assert (read["started_at"], read["ended_at"]) == ("2023-11-14T22:13:20Z", "2023-11-14T22:13:23Z")
    assert read["navigations"] == [{"url": "https://app.example.com/login", "timestamp_ms": 0}]
    assert read["playable"] is True
    stored = read["events"].pop("stored_bytes")
    assert 0 < stored < 2000
    assert read["events"] == {
        "received": 6,
        "stored": 5,
        "duplicate": 0,
        "rejected": 1,
        "bytes": read["events"]["bytes"],
    }
    assert list(read["summary"]) == [
        "clicks", "inputs", "scrolls", "pages", "active_ms", "console_errors", "network_errors", "viewport",
        "bytes_by_type",
    ]  # fmt: skip
    assert read["summary"]["viewport"] == {"width": 1280, "height": 720}
    assert read["warnings"][0]["code"] == "event_count_differs"
    assert (read["tenant_id"], read["user_id"]) == (str(hand.tenant_id), str(hand.api_key.user_id))
    assert (read["masked"], read["video"], read["failure"], read["source"]) == ({}, None, None, "upload")
    assert "Retry-After" not in answer.headers


async def test_before_processing_there_are_no_figures_but_a_time_to_ask_again(api: httpx.AsyncClient) -> None:
    answer = await api.get(await create(api))
    read = answer.json()
    assert list(read) == FIELDS
    assert [read[name] for name in ("events", "summary", "playable", "video")] == [None] * 4
    assert (read["masked"], read["warnings"], read["status"]) == ({}, [], "uploading")
    assert int(answer.headers["Retry-After"]) > 0


async def test_times_are_utc_with_milliseconds_at_most(api: httpx.AsyncClient) -> None:
    read = (await api.get(await create(api, upload(started_at="2026-05-04T12:00:00.123456+02:00")))).json()
    assert read["started_at"] == "2026-05-04T10:00:00.123Z"
    for name in ("created_at", "updated_at"):
        assert read[name].endswith("Z")
        assert datetime.fromisoformat(read[name]).microsecond % 1000 == 0


async def test_a_failed_recording_says_why(api: httpx.AsyncClient, process_it: Process) -> None:
    path = await create(api, upload([{"no": "event"}]))
    await process_it(id_in(path))
    answer = await api.get(path)
    read = answer.json()
    assert (read["status"], read["failure"]["code"]) == ("failed", "no_valid_events")
    assert read["failure"]["message"]
    assert read["failure"]["at"].endswith("Z")
    assert "Retry-After" not in answer.headers


async def test_another_tenants_a_deleted_and_no_recording_are_indistinguishable(
    api: httpx.AsyncClient, web: Served, database: Database
) -> None:
    theirs, deleted = await create(api), await create(api)
    await api.delete(deleted)
    stranger = await new_tenant(database)
    async with web.client(stranger.keys.api_key) as other:
        answers = [await other.get(theirs), await api.get(deleted), await api.get(f"{PATH}/{uuid4()}")]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1


@pytest.mark.parametrize("name", ["nope", "1", "..%2f..%2fetc", "%00", "0" * 400])
async def test_what_is_no_id_is_not_found(api: httpx.AsyncClient, name: str) -> None:
    answer = await api.get(f"{PATH}/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_an_ingest_key_reads_the_status_of_what_it_made(
    api: httpx.AsyncClient, ingest: httpx.AsyncClient, process_it: Process
) -> None:
    path = await create(ingest)
    answer = await ingest.get(path)
    assert list(answer.json()) == ["id", "status", "failure", "has_video", "created_at", "updated_at"]
    assert answer.headers["Retry-After"]
    await process_it(id_in(path))
    done = await ingest.get(path, headers={"Prefer": "wait=5", "If-None-Match": answer.headers["ETag"]})
    assert done.json()["status"] == "ready"
    assert list((await api.get(path)).json()) == FIELDS


async def test_an_ingest_key_knows_nothing_of_what_others_made(
    api: httpx.AsyncClient, ingest: httpx.AsyncClient, web: Served, database: Database, hand: Deckhand
) -> None:
    assert (await ingest.get(await create(api))).status_code == 404
    sibling = await new_key(database, hand, Scope.INGEST)
    async with web.client(sibling) as other:
        assert (await other.get(await create(ingest))).status_code == 404


async def test_an_unchanged_recording_is_304(api: httpx.AsyncClient, database: Database) -> None:
    path = await create(api)
    first = await api.get(path)
    same = await api.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["ETag"] == first.headers["ETag"]
    weak = await api.get(path, headers={"If-None-Match": f'"x", W/{first.headers["ETag"]}'})
    assert weak.status_code == 304
    await begin(database, path)
    changed = await api.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (changed.status_code, changed.json()["status"]) == (200, "processing")
    assert changed.headers["ETag"] != first.headers["ETag"]


async def test_head_is_get_without_the_body(api: httpx.AsyncClient) -> None:
    path = await create(api)
    for target in (path, PATH, "/health", "/ready", "/openapi.json"):
        head, get = await api.head(target), await api.get(target)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Length"] == get.headers["Content-Length"]
    assert (await api.head(f"{PATH}/{uuid4()}")).status_code == 404
    assert (await api.head(f"{path}/retry")).status_code == 405


async def test_a_wait_ends_when_the_status_changes(api: httpx.AsyncClient, database: Database) -> None:
    path = await create(api)
    held = asyncio.create_task(api.get(path, headers={"Prefer": "respond-async, wait=30"}))
    done, _ = await asyncio.wait([held], timeout=0.5)
    assert not done
    await begin(database, path)
    answer = await asyncio.wait_for(held, 20)
    assert answer.json()["status"] == "processing"
    assert answer.headers["Preference-Applied"] == "wait=30"


async def test_a_wait_ends_when_its_time_is_up(api: httpx.AsyncClient) -> None:
    path = await create(api)
    began = time.monotonic()
    answer = await api.get(path, headers={"Prefer": "wait=1"})
    assert time.monotonic() - began >= 1
    assert (answer.status_code, answer.json()["status"]) == (200, "uploading")
    assert answer.headers["Preference-Applied"] == "wait=1"


async def test_a_terminal_status_is_answered_at_once(api: httpx.AsyncClient, process_it: Process) -> None:
    path = await create(api)
    await process_it(id_in(path))
    answer = await asyncio.wait_for(api.get(path, headers={"Prefer": "wait=60"}), 20)
    assert answer.json()["status"] == "ready"


async def test_a_wait_ends_when_the_recording_is_deleted(api: httpx.AsyncClient) -> None:
    path = await create(api)
    held = asyncio.create_task(api.get(path, headers={"Prefer": "wait=60"}))
    await asyncio.wait([held], timeout=0.3)
    await api.delete(path)
    assert (await asyncio.wait_for(held, 20)).status_code == 404


@pytest.mark.parametrize("prefer", ["wait", "wait=", "wait=-1", "wait=x", "wait=1e9", "hurry=5", "await=5"])
async def test_a_preference_that_cannot_be_read_is_ignored(api: httpx.AsyncClient, prefer: str) -> None:
    answer = await api.get(await create(api), headers={"Prefer": prefer})
    assert answer.status_code == 200
    assert "Preference-Applied" not in answer.headers


async def test_where_too_many_wait_already_the_preference_is_not_applied(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "MOST_WAITING", 0)
    answer = await asyncio.wait_for(api.get(await create(api), headers={"Prefer": "wait=60"}), 20)
    assert (answer.status_code, answer.headers["Retry-After"]) == (200, "1")
    assert "Preference-Applied" not in answer.headers


async def test_waiting_requests_hold_no_connections(
    api: httpx.AsyncClient, web: Served, hand: Deckhand, database: Database
) -> None:
    path = await create(api)
    limits = httpx.Limits(max_connections=100)
    headers = {"Authorization": f"Bearer {hand.keys.api_key}", "Prefer": "wait=60"}
    async with httpx.AsyncClient(base_url=web.url, limits=limits, timeout=60, trust_env=False) as many:
        waiting = [asyncio.create_task(many.get(path, headers=headers)) for _ in range(60)]
        await asyncio.wait(waiting, timeout=1)
        async with database.autocommit() as connection:
            while (await connection.execute(text(BUSY))).scalar_one() > 1:  # until all have asked once
                await asyncio.sleep(0.05)
        assert (await asyncio.wait_for(api.get(path), 20)).status_code == 200
        assert not any(task.done() for task in waiting)
        await begin(database, path)
        answers = await asyncio.wait_for(asyncio.gather(*waiting), 30)
    assert {answer.json()["status"] for answer in answers} == {"processing"}
