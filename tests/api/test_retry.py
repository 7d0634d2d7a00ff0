"""POST /api/v1/recordings/{id}/retry."""

from uuid import uuid4

import httpx

from models import sweep
from models.db import Database
from models.tenancy import Scope
from tests.api.conftest import Process
from tests.api.served import Served
from tests.api.tenants import new_key, new_tenant
from tests.api.test_create import PATH
from tests.api.test_read import create, id_in
from tests.factories import Deckhand, upload


async def failed(api: httpx.AsyncClient, process_it: Process) -> str:
    path = await create(api, upload([{"no": "event"}]))
    await process_it(id_in(path))
    assert (await api.get(path)).json()["status"] == "failed"
    return path


async def test_a_failed_recording_goes_back_to_work(api: httpx.AsyncClient, process_it: Process) -> None:
    path = await failed(api, process_it)
    answer = await api.post(f"{path}/retry")
    assert answer.status_code == 202
    assert answer.json() == {"id": str(id_in(path)), "status": "processing"}
    read = (await api.get(path)).json()
    assert (read["status"], read["failure"]) == ("processing", None)
    await process_it(id_in(path))
    assert (await api.get(path)).json()["failure"]["code"] == "no_valid_events"


async def test_only_a_failed_recording_can_be_retried(api: httpx.AsyncClient, process_it: Process) -> None:
    path = await create(api)
    early = await api.post(f"{path}/retry")
    await process_it(id_in(path))
    late = await api.post(f"{path}/retry")
    for answer in (early, late):
        assert (answer.status_code, answer.json()["code"]) == (409, "not_failed")


async def test_without_its_payload_there_is_nothing_to_retry(
    api: httpx.AsyncClient, process_it: Process, database: Database
) -> None:
    path = await failed(api, process_it)
    assert await sweep.drop_failed_payloads(database, days=0, limit=10) == 1
    answer = await api.post(f"{path}/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "payload_expired")


async def test_another_tenants_a_deleted_and_no_recording_are_not_found(
    api: httpx.AsyncClient, web: Served, database: Database, process_it: Process
) -> None:
    theirs, deleted = await failed(api, process_it), await failed(api, process_it)
    await api.delete(deleted)
    stranger = await new_tenant(database)
    async with web.client(stranger.keys.api_key) as other:
        paths = [(other, theirs), (api, deleted), (api, f"{PATH}/{uuid4()}")]
        assert {(await client.post(f"{path}/retry")).status_code for client, path in paths} == {404}
    assert (await api.get(theirs)).json()["status"] == "failed"


async def test_it_needs_the_scope_manage(
    api: httpx.AsyncClient, web: Served, database: Database, hand: Deckhand, process_it: Process
) -> None:
    path = await failed(api, process_it)
    async with web.client(await new_key(database, hand, Scope.READ, Scope.INGEST)) as reader:
        assert (await reader.post(f"{path}/retry")).status_code == 403
    async with web.client(await new_key(database, hand, Scope.MANAGE)) as manager:
        assert (await manager.post(f"{path}/retry")).status_code == 202
