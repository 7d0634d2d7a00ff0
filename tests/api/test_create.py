"""POST /api/v1/recordings: what is accepted, and what is refused with a reason."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from models.db import Database
from models.tenancy import Project, Tenant
from tests.api.conftest import Serve
from tests.factories import Deckhand, events, upload

PATH = "/api/v1/recordings"


async def rows(db: Database) -> int:
    """How much there is of recordings, payloads, jobs and idempotency keys."""
    tables = ("recording", "payload", "job", "idempotency_key")
    counts = " + ".join(f"(SELECT count(*) FROM {table})" for table in tables)
    async with db.autocommit() as connection:
        return int((await connection.execute(text(f"SELECT {counts}"))).scalar_one())


async def refusal(api: httpx.AsyncClient, body: bytes, **headers: str) -> dict[str, Any]:
    """The problem that a body is answered with, which must be a 400."""
    answer = await api.post(PATH, content=body, headers=headers)
    assert answer.status_code == 400, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == "validation_error"
    return problem


async def test_a_recording_is_accepted(api: httpx.AsyncClient) -> None:
    answer = await api.post(PATH, content=upload(name="Login flow"))
    assert answer.status_code == 201, answer.text
    created = answer.json()
    assert created == {"id": created["id"], "status": "uploading"}
    assert UUID(created["id"]).version == 7
    assert answer.headers["Location"] == f"{PATH}/{created['id']}"
    assert (await api.get(answer.headers["Location"])).status_code == 200


async def test_what_the_client_said_can_be_read_before_it_is_processed(api: httpx.AsyncClient) -> None:
    said = {
        "name": "Käse 🧀",
        "ended_at": "2023-11-15T00:13:22.5+02:00",
        "duration_ms": 2500,
        "event_count": 7,
        "has_audio": True,
        "navigations": [{"url": "https://example.com/ü", "timestamp_ms": 12.5}],
        "no such field": 1,
    }
    created = (await api.post(PATH, content=upload(**said))).json()
    read = (await api.get(f"{PATH}/{created['id']}")).json()
    assert read["name"] == "Käse 🧀"
    assert (read["started_at"], read["ended_at"]) == ("2023-11-14T22:13:20Z", "2023-11-14T22:13:22.500Z")
    assert (read["duration_ms"], read["event_count"], read["has_audio"]) == (2500, 7, True)
    assert read["navigations"] == [{"url": "https://example.com/ü", "timestamp_ms": 12.5}]


async def test_an_upload_is_accepted_while_redis_and_storage_are_away(
    serve: Serve, hand: Deckhand, tmp_path: Path
) -> None:
    away = serve(redis_url="redis://127.0.0.1:1", storage_url=f"file://{tmp_path / 'gone'}")
    (tmp_path / "gone" / ".drafts").rmdir()
    (tmp_path / "gone").rmdir()
    async with away.client(hand.keys.api_key) as api:
        for _ in range(3):
            assert (await api.post(PATH, content=upload())).status_code == 201
        ready = await api.get("/ready")
    assert ready.status_code == 503
    assert ready.json()["dependencies"]["redis"] == "away"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (upload(started_at="2026-05-04T10:00:00"), "started_at"),
        (upload(started_at="yesterday"), "started_at"),
        (upload(started_at=1777888800), "started_at"),
        (upload(ended_at="2023-11-14T22:13:19Z"), "ended_at"),
        (upload(ended_at="2026-05-04T10:00:00"), "ended_at"),
        (upload(name="x" * 501), "name"),
        (upload(name="nul\0"), "name"),
        (upload(duration_ms=-1), "duration_ms"),
        (upload(duration_ms=2**64), "duration_ms"),
        (upload(duration_ms=1.5), "duration_ms"),
        (upload(event_count=10**30), "event_count"),
        (upload(project_id="not-a-uuid"), "project_id"),
        (upload(navigations=[{"timestamp_ms": 0}]), "navigations[0].url"),
        (upload(navigations=[{"url": "nul\0", "timestamp_ms": 0}]), "navigations[0].url"),
        (upload(navigations=[{"url": "x" * 500, "timestamp_ms": 0}] * 2000), "navigations"),
        (upload([]), "events"),
        (upload(None, events="[]"), "events"),
        (upload([*events(), 7]), "events[3]"),
        (upload([*events(), None]), "events[3]"),
        (upload([*events(), []]), "events[3]"),
        (upload(has_video="yes"), "has_video"),
        (upload(open=1), "open"),
        (upload(console_logs={}), "console_logs"),
        (upload(client_info=[]), "client_info"),
        (b'{"events": [{}]}', "started_at"),
        (b'{"started_at": "2026-05-04T10:00:00Z"}', "events"),
    ],
)
async def test_a_wrong_field_is_named(
    api: httpx.AsyncClient, database: Database, body: bytes, field: str
) -> None:
    problem = await refusal(api, body)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert problem["errors"][0]["message"]
    assert await rows(database) == 0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "byte 0"),
        (b'{"started_at": }', "byte 15"),
        (b'{"events": [', "byte 12"),
        (upload() + b"x", "trailing"),
        (b"[]", "object"),
        (b"null", "object"),
        (upload().replace(b"login", b"log\xff\xfe"), f"byte {upload().index(b'login') + 3}"),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused_with_the_place(
    api: httpx.AsyncClient, database: Database, body: bytes, said: str
) -> None:
    problem = await refusal(api, body)
    assert said in problem["detail"]
    assert await rows(database) == 0


@pytest.mark.parametrize(
    "deep",
    [b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000],
    ids=["arrays", "objects"],
)
async def test_nesting_too_deep_to_decode_is_refused(
    api: httpx.AsyncClient, database: Database, deep: bytes
) -> None:
    body = b'{"started_at": "2026-05-04T10:00:00Z", "events": [{"type": 3, "data": %b}]}' % deep
    await refusal(api, body)
    assert await rows(database) == 0


async def test_numbers_beyond_64_bits_inside_events_are_kept(api: httpx.AsyncClient) -> None:
    body = upload(
        [*events(), {"type": 5, "data": {"tag": "n", "payload": 10**40}, "timestamp": 1700000001000}]
    )
    assert (await api.post(PATH, content=body)).status_code == 201


async def test_unpaired_surrogates_inside_events_are_accepted(api: httpx.AsyncClient) -> None:
    body = upload([{"type": 5, "data": {"tag": "\ud83d"}, "timestamp": 1700000001000}])
    assert (await api.post(PATH, content=body)).status_code == 201


async def test_a_project_of_the_tenant_may_be_chosen(
    api: httpx.AsyncClient, ingest: httpx.AsyncClient, database: Database, hand: Deckhand
) -> None:
    async with database.transaction() as session:
        project = Project(tenant_id=hand.tenant_id, name="Another")
        session.add(project)
    body = upload(project_id=str(project.id))
    created = (await api.post(PATH, content=body)).json()
    assert (await api.get(f"{PATH}/{created['id']}")).json()["project_id"] == str(project.id)
    refused = await ingest.post(PATH, content=body)  # an ingest key stays in its own
    assert (refused.status_code, refused.json()["code"]) == (404, "project_not_found")
    own = await ingest.post(PATH, content=upload(project_id=str(hand.ingest_key.project_id)))
    assert own.status_code == 201


async def test_a_project_of_another_tenant_is_as_unknown_as_none(
    api: httpx.AsyncClient, database: Database
) -> None:
    async with database.transaction() as session:
        tenant = Tenant(name="Another")
        session.add(tenant)
        await session.flush()
        project = Project(tenant_id=tenant.id, name="Theirs")
        session.add(project)
    theirs = await api.post(PATH, content=upload(project_id=str(project.id)))
    none = await api.post(PATH, content=upload(project_id=str(uuid4())))
    assert theirs.status_code == none.status_code == 404
    assert theirs.json() == none.json()
    assert theirs.json()["code"] == "project_not_found"
    assert await rows(database) == 0


async def test_20_clients_at_once_are_all_accepted(api: httpx.AsyncClient, database: Database) -> None:
    body = json.dumps(json.loads(upload(events(2000)))).encode()
    answers = await asyncio.gather(*(api.post(PATH, content=body) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 20
