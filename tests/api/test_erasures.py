"""POST /api/v1/erasures, GET /api/v1/erasures/{id}."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from app import erasure_documents
from models.db import Database
from models.tenancy import Scope
from storage.protocol import Storage
from tests.api.conftest import Process
from tests.api.erasing import ERASURES, Hands, erase
from tests.api.served import Served
from tests.api.tenants import new_key, new_tenant
from tests.api.test_read import create, id_in
from tests.factories import Deckhand, accepted
from workers import erasures

NOTHING_YET = {"finished_at": None, "found": 0, "erased": 0, "held": 0, "on_hold": [], "certificate": None}


async def test_it_ends_in_a_certificate(
    api: httpx.AsyncClient, hand: Deckhand, process_it: Process, storage: Storage, hands: Hands
) -> None:
    gone, held = [await create(api) for _ in range(2)]
    for path in (gone, held):
        await process_it(id_in(path))
    await api.put(f"{held}/hold")
    subject = {"project_id": str(hand.api_key.project_id)}
    seen = await erase(api, **subject, dry_run=True)
    assert seen.status_code == 200
    assert (seen.json()["recordings"], seen.json()["on_hold"]) == (1, 1)
    assert seen.json()["bytes"] > 100

    answer = await erase(api, **subject)
    assert answer.status_code == 202
    where = answer.headers["Location"]
    started = answer.json()
    assert where == f"{ERASURES}/{started['id']}"
    assert started.items() >= (NOTHING_YET | {"state": "running"}).items()
    assert started["subject"] == {"kind": "project_id", "value": subject["project_id"]}
    assert (await api.get(where)).json() == started

    await hands.advance()
    halfway = await api.get(where)
    assert halfway.headers["Retry-After"]
    assert halfway.json()["state"] == "running"
    assert (halfway.json()["found"], halfway.json()["erased"], halfway.json()["held"]) == (2, 0, 1)
    assert (await api.get(gone)).status_code == 404
    await hands.finish()
    done = (await api.get(where)).json()
    assert done["state"] == "done"
    assert (done["found"], done["erased"], done["held"]) == (2, 1, 1)
    assert done["on_hold"] == [str(id_in(held))]
    certificate = done["certificate"]
    assert certificate["verified_at"] == done["finished_at"]
    assert certificate["tallies"] == {
        "before": {"recordings": 1, "purged": 0},
        "after": {"recordings": 0, "purged": 1},
        "unchanged": True,
    }
    (one,) = certificate["recordings"]
    assert (one["id"], one["objects"]) == (str(id_in(gone)), 2)
    moments = [one[name] for name in ("accepted_at", "deleted_at", "purged_at", "verified_at")]
    assert sorted(map(datetime.fromisoformat, moments)) == list(map(datetime.fromisoformat, moments))
    assert (await api.get(held)).status_code == 200
    assert (await api.get(where)).json() == done  # and stays so


async def test_an_object_that_is_there_all_the_same_is_deleted_before_it_is_certified(
    api: httpx.AsyncClient,
    hand: Deckhand,
    process_it: Process,
    storage: Storage,
    hands: Hands,
    database: Database,
) -> None:
    path = await create(api)
    await process_it(id_in(path))
    where = (await erase(api, tenant_id=str(hand.tenant_id))).headers["Location"]
    async with database.autocommit() as connection:
        names = (await connection.execute(text("SELECT name FROM object"))).scalars().all()
    await hands.advance()
    async with database.transaction() as session:  # as if storage had not done what it said
        await session.execute(text("DELETE FROM object"))
    await hands.purge_all()
    assert await storage.find(names[0])
    await erasures.advance(database, storage)
    assert (await api.get(where)).json()["state"] == "running"
    for _ in names:
        await hands.advance()
    assert (await api.get(where)).json()["state"] == "done"
    assert [await storage.find(name) for name in names] == [None, None]


async def test_a_certificate_is_read_page_by_page(
    api: httpx.AsyncClient, hand: Deckhand, database: Database, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [str(await accepted(database, hand, fingerprint="f")) for _ in range(5)]
    held = [str(await accepted(database, hand, fingerprint="f")) for _ in range(3)]
    for id_ in held:
        await api.put(f"/api/v1/recordings/{id_}/hold")
    where = (await erase(api, fingerprint="f")).headers["Location"]
    await hands.finish()
    monkeypatch.setattr(erasure_documents, "PAGE_MAX", 2)
    listed: list[str] = []
    cursor = None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        certificate = (await api.get(where, params=params)).json()["certificate"]
        listed += [one["id"] for one in certificate["recordings"]]
        cursor = certificate["next_cursor"]
        if cursor is None:
            break
    assert listed == ids
    assert (await api.get(where)).json()["on_hold"] == held
    assert (await api.get(where, params={"limit": 1001})).status_code == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, None),
        ({"session_id": "s", "fingerprint": "f"}, None),
        ({"session_id": ""}, "session_id"),
        ({"session_id": "x" * 501}, "session_id"),
        ({"session_id": "a\0b"}, "session_id"),
        ({"user_id": "kim@example.com"}, "user_id"),
        ({"tenant_id": str(uuid4())}, "tenant_id"),
        ({"session_id": "s", "dry_run": "yes"}, "dry_run"),
        ([], None),
    ],
)
async def test_a_wrong_request_erases_nothing(
    api: httpx.AsyncClient, database: Database, body: Any, field: str | None
) -> None:
    answer = await api.post(ERASURES, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")
    assert [error["field"] for error in answer.json().get("errors", [])] == ([field] if field else [])
    async with database.autocommit() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM erasure"))).scalar_one() == 0


async def test_malformed_json_is_told(api: httpx.AsyncClient) -> None:
    for content in (b"{", b"", b'{"session_id": "\xff"}'):
        answer = await api.post(ERASURES, content=content)
        assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")


async def test_another_tenants_project_is_not_found(api: httpx.AsyncClient, database: Database) -> None:
    stranger = await new_tenant(database)
    answer = await erase(api, project_id=str(stranger.api_key.project_id))
    assert (answer.status_code, answer.json()["code"]) == (404, "project_not_found")


async def test_it_needs_manage_to_erase_and_read_to_see(
    api: httpx.AsyncClient, ingest: httpx.AsyncClient, web: Served, database: Database, hand: Deckhand
) -> None:
    where = (await erase(api, session_id="s")).headers["Location"]
    async with web.client(await new_key(database, hand, Scope.READ)) as reader:
        for client in (ingest, reader):
            for dry_run in (True, False):
                assert (await erase(client, session_id="s", dry_run=dry_run)).status_code == 403
        assert (await reader.get(where)).status_code == 200
    assert (await ingest.get(where)).status_code == 403
    async with web.client(await new_key(database, hand, Scope.MANAGE)) as manager:
        assert (await erase(manager, session_id="s")).status_code == 202
        assert (await manager.get(where)).status_code == 403


async def test_another_tenants_and_no_erasure_are_not_found(
    api: httpx.AsyncClient, web: Served, database: Database
) -> None:
    where = (await erase(api, session_id="s")).headers["Location"]
    stranger = await new_tenant(database)
    async with web.client(stranger.keys.api_key) as other:
        theirs, none = await other.get(where), await api.get(f"{ERASURES}/{UUID(int=1)}")
    assert theirs.status_code == none.status_code == 404
    assert theirs.json() == none.json()
