"""POST /api/v1/recordings/{id}/relate."""

from uuid import uuid4

import httpx

from models.db import Database
from models.job import JobKind
from models.tenancy import Scope
from tests.api.conftest import Process
from tests.api.served import Served
from tests.api.tenants import new_key, new_tenant
from tests.api.test_create import PATH
from tests.api.test_read import create, id_in
from tests.factories import Deckhand, job_of, upload


async def test_rows_are_owed_from_the_answer_on(
    api: httpx.AsyncClient, process_it: Process, database: Database
) -> None:
    path = await create(api)
    await process_it(id_in(path))
    for _ in range(2):
        answer = await api.post(f"{path}/relate")
        assert answer.status_code == 202
        assert answer.json() == {"id": str(id_in(path)), "status": "ready"}
        assert answer.headers["Location"] == path
        assert await job_of(database, id_in(path), JobKind.RELATE)


async def test_there_must_be_a_tape(api: httpx.AsyncClient, process_it: Process) -> None:
    early = await create(api)
    answer = await api.post(f"{early}/relate")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_ready")
    assert answer.headers["Retry-After"]
    failed = await create(api, upload([{"no": "event"}]))
    await process_it(id_in(failed))
    answer = await api.post(f"{failed}/relate")
    assert (answer.status_code, answer.json()["code"]) == (409, "recording_failed")


async def test_another_tenants_a_deleted_and_no_recording_are_not_found(
    api: httpx.AsyncClient, web: Served, database: Database
) -> None:
    theirs, deleted = await create(api), await create(api)
    await api.delete(deleted)
    stranger = await new_tenant(database)
    async with web.client(stranger.keys.api_key) as other:
        answers = [
            await other.post(f"{theirs}/relate"),
            await api.post(f"{deleted}/relate"),
            await api.post(f"{PATH}/{uuid4()}/relate"),
        ]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "not_found")}


async def test_it_needs_the_scope_manage(
    api: httpx.AsyncClient, web: Served, database: Database, hand: Deckhand, process_it: Process
) -> None:
    path = await create(api)
    await process_it(id_in(path))
    async with web.client(await new_key(database, hand, Scope.READ, Scope.INGEST)) as reader:
        assert (await reader.post(f"{path}/relate")).status_code == 403
    async with web.client(await new_key(database, hand, Scope.MANAGE)) as manager:
        assert (await manager.post(f"{path}/relate")).status_code == 202
