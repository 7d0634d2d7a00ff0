"""POST and GET /api/v1/recordings/{id}/mask: asked for, tried, watched."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import zstandard
from sqlalchemy import text

from models import administration
from models.db import Database
from models.tenancy import Scope
from replay.privacy import Rules
from tests.api.conftest import MaskIt, Process, Serve
from tests.api.served import Served
from tests.api.tenants import new_key, new_tenant
from tests.api.test_create import PATH
from tests.api.test_read import create, id_in
from tests.api.test_retry import failed
from tests.factories import Deckhand, events, recording, upload

TOLD = {"type": 5, "data": {"tag": "form", "payload": {"ssn": "123-45-6789"}}, "timestamp": 1_700_000_001_500}
RECORDED = upload([*events(), TOLD], console_logs=[{"level": "log", "args": [{"ssn": "987-65-4321"}]}])
SSN = {"rules": {"keys": ["ssn"]}}


async def ready(api: httpx.AsyncClient, process_it: Process, body: bytes = RECORDED) -> str:
    path = await create(api, body)
    await process_it(id_in(path))
    return path


async def requests(database: Database) -> list[Any]:
    async with database.autocommit() as connection:
        return list((await connection.execute(text("SELECT rules FROM mask_request ORDER BY id"))).scalars())


async def test_a_recording_is_readable_until_it_is_another(
    api: httpx.AsyncClient, process_it: Process, mask_it: MaskIt
) -> None:
    path = await ready(api, process_it)
    before = await api.get(path)
    events_before, logs_before = [await api.get(f"{path}/{part}") for part in ("events", "logs")]
    asked = await api.post(f"{path}/mask", json=SSN)
    assert asked.status_code == 202
    assert asked.json() == {"id": str(id_in(path)), "status": "ready", "masking": "pending"}
    assert asked.headers["Location"] == f"{path}/mask"
    watched = await api.get(asked.headers["Location"])
    assert (watched.status_code, watched.json()) == (200, asked.json())
    assert watched.headers["Retry-After"]
    assert (await api.get(path)).headers["ETag"] == before.headers["ETag"]

    await mask_it(path)
    assert (await api.get(f"{path}/mask")).json()["masking"] == "done"
    for part, was in (("events", events_before), ("logs", logs_before)):
        now = await api.get(f"{path}/{part}", headers={"If-None-Match": was.headers["ETag"]})
        assert now.status_code == 200
        assert "6789" not in now.text
        assert "4321" not in now.text
        assert len(now.content) == len(was.content)
    changed = {"events", "masked", "updated_at"}
    read = (await api.get(path)).json()
    assert read["masked"] == {"key": 2}
    assert {**read["events"], "stored_bytes": 0} == {**before.json()["events"], "stored_bytes": 0}
    assert {k: v for k, v in read.items() if k not in changed} == {
        k: v for k, v in before.json().items() if k not in changed
    }


async def test_without_a_body_it_is_the_project_s_policy(
    api: httpx.AsyncClient, process_it: Process, mask_it: MaskIt, database: Database, hand: Deckhand
) -> None:
    path = await ready(api, process_it)
    await administration.set_privacy(database, hand.api_key.project_id, rules=Rules(keys=("ssn",)))
    assert (await api.post(f"{path}/mask")).status_code == 202
    assert await requests(database) == [{}]
    await mask_it(path)
    assert (await api.get(path)).json()["masked"] == {"key": 2}


async def test_two_requests_are_one_job(
    api: httpx.AsyncClient, process_it: Process, mask_it: MaskIt, database: Database
) -> None:
    path = await ready(api, process_it)
    for keys in (["ssn"], ["tag"]):
        asked = await api.post(f"{path}/mask", json={"rules": {"keys": [*keys, "iban"]}})
        assert asked.status_code == (202 if keys == ["ssn"] else 400)  # `tag` is rrweb's own
    assert (await api.post(f"{path}/mask", json=SSN)).status_code == 202
    assert len(await requests(database)) == 2
    await mask_it(path)
    assert (await api.get(f"{path}/mask")).json()["masking"] == "done"


async def test_a_dry_run_tells_counts_and_places_and_no_value_and_changes_nothing(
    api: httpx.AsyncClient, process_it: Process, database: Database
) -> None:
    path = await ready(api, process_it)
    before = await recording(database, id_in(path))
    tried = await api.post(f"{path}/mask", json={**SSN, "dry_run": True})
    assert tried.status_code == 200
    told = tried.json()
    assert (told["dry_run"], told["masked"]) == (True, {"key": 2})
    assert [place["rule"] for place in told["places"]] == ["key", "key"]
    assert "6789" not in tried.text
    assert (await api.post(f"{path}/mask", json={"dry_run": True})).json()["masked"] == {}
    assert await requests(database) == []
    assert await recording(database, id_in(path)) == before


async def test_a_dry_run_tells_only_the_first_places(api: httpx.AsyncClient, process_it: Process) -> None:
    path = await ready(api, process_it, upload([*events(), *[TOLD] * 200]))
    tried = (await api.post(f"{path}/mask", json={**SSN, "dry_run": True})).json()
    assert tried["masked"] == {"key": 200}
    assert len(tried["places"]) == 100


async def test_a_dry_run_before_there_is_a_tape(api: httpx.AsyncClient, process_it: Process) -> None:
    path = await create(api)
    early = await api.post(f"{path}/mask", json={"dry_run": True})
    assert (early.status_code, early.json()["code"]) == (409, "not_ready")
    assert early.headers["Retry-After"]


async def test_a_dry_run_of_a_failed_recording_counts_in_what_was_sent(
    api: httpx.AsyncClient, process_it: Process, database: Database
) -> None:
    path = await ready(api, process_it, upload([{"no": "event", "ssn": "123-45-6789"}]))
    tried = await api.post(f"{path}/mask", json={**SSN, "dry_run": True})
    assert (tried.status_code, tried.json()["masked"]) == (200, {"key": 1})
    async with database.transaction() as session:
        await session.execute(text("UPDATE payload SET data = 'broken'"))
    unreadable = await api.post(f"{path}/mask", json={**SSN, "dry_run": True})
    assert (unreadable.status_code, unreadable.json()["code"]) == (409, "recording_failed")


async def test_a_dry_run_counts_against_the_budget(
    serve: Serve, hand: Deckhand, process_it: Process, folder: Path
) -> None:
    body = upload(events(300))
    tight = serve(max_events_bytes=len(body), inflight_bytes=1, storage_url=f"file://{folder}")
    async with tight.client(hand.keys.api_key) as client:
        path = await ready(client, process_it, body)
        tried = await client.post(f"{path}/mask", json={"dry_run": True})
        assert (tried.status_code, tried.json()["code"]) == (503, "overloaded")
        assert tried.headers["Retry-After"]
        assert tight.free_bytes() == len(body)


async def test_a_failed_recording_can_be_masked(
    api: httpx.AsyncClient, process_it: Process, mask_it: MaskIt
) -> None:
    path = await failed(api, process_it)
    asked = await api.post(f"{path}/mask", json=SSN)
    assert (asked.status_code, asked.json()["status"]) == (202, "failed")
    await mask_it(path)
    assert (await api.get(path)).json()["status"] == "failed"


async def test_a_recording_that_was_not_processed_yet_is_masked_after_that(
    api: httpx.AsyncClient, process_it: Process, mask_it: MaskIt
) -> None:
    path = await create(api, RECORDED)
    asked = await api.post(f"{path}/mask", json=SSN)
    assert (asked.status_code, asked.json()["status"]) == (202, "uploading")
    await process_it(id_in(path))
    await mask_it(path)
    assert (await api.get(path)).json()["masked"] == {"key": 2}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"[]", None),
        (b'{"rules": ', None),
        (b'{"rules": {"keys": ["a\xff"]}}', None),
        ({"rule": {}}, None),
        ({"dryrun": True}, None),
        ({"dry_run": "yes"}, "dry_run"),
        ({"rules": []}, "rules"),
        ({"rules": {"words": ["x"]}}, "rules"),
        ({"rules": {"keys": [""]}}, "rules.keys[0]"),
        ({"rules": {"keys": ["timestamp"]}}, "rules.keys[0]"),
        ({"rules": {"patterns": [{"name": "Order No", "pattern": "x"}]}}, "rules.patterns[0].name"),
        ({"rules": {"patterns": [{"name": "x", "pattern": "("}]}}, "rules.patterns[0].pattern"),
        ({"rules": {"patterns": [{"name": "x", "pattern": ".*"}]}}, "rules.patterns[0].pattern"),
        ({"rules": {"patterns": [{"name": "x", "pattern": "a\0"}]}}, "rules.patterns[0].pattern"),
        ({"rules": {"selectors": ["*"]}}, "rules.selectors[0]"),
        ({"rules": {"selectors": [".a", "li:hover"]}}, "rules.selectors[1]"),
        ({"rules": {"selectors": ["[a='\0']"]}}, "rules.selectors[0]"),
    ],
)
async def test_what_cannot_be_used_is_refused_by_its_name(
    api: httpx.AsyncClient, process_it: Process, database: Database, body: Any, field: str | None
) -> None:
    path = await ready(api, process_it)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await api.post(f"{path}/mask", content=content)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")
    assert [error["field"] for error in answer.json().get("errors", [])] == ([field] if field else [])
    assert await requests(database) == []


async def test_a_body_may_be_compressed_and_is_bounded(api: httpx.AsyncClient, process_it: Process) -> None:
    path = await ready(api, process_it)
    encoded = {"Content-Encoding": "zstd"}
    content = zstandard.compress(json.dumps(SSN).encode())
    assert (await api.post(f"{path}/mask", content=content, headers=encoded)).status_code == 202
    bomb = zstandard.compress(b" " * 10_000_000)
    assert (await api.post(f"{path}/mask", content=bomb, headers=encoded)).status_code == 413


async def test_another_tenants_a_deleted_and_no_recording_are_not_found(
    api: httpx.AsyncClient, web: Served, database: Database, process_it: Process
) -> None:
    theirs, deleted = await ready(api, process_it), await ready(api, process_it)
    await api.delete(deleted)
    stranger = await new_tenant(database)
    async with web.client(stranger.keys.api_key) as other:
        for client, path in ((other, theirs), (api, deleted), (api, f"{PATH}/{uuid4()}")):
            for body in (SSN, {"dry_run": True}):
                assert (await client.post(f"{path}/mask", json=body)).status_code == 404
            assert (await client.get(f"{path}/mask")).status_code == 404
    assert await requests(database) == []


async def test_it_needs_the_scope_manage(
    api: httpx.AsyncClient, web: Served, database: Database, hand: Deckhand, process_it: Process
) -> None:
    path = await ready(api, process_it)
    async with web.client(await new_key(database, hand, Scope.READ, Scope.INGEST)) as reader:
        assert (await reader.post(f"{path}/mask")).status_code == 403
        assert (await reader.get(f"{path}/mask")).status_code == 200
    async with web.client(await new_key(database, hand, Scope.MANAGE)) as manager:
        assert (await manager.post(f"{path}/mask")).status_code == 202
