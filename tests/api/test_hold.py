"""PUT, DELETE and GET /api/v1/recordings/{id}/hold."""

from uuid import uuid4

import httpx

from models.db import Database
from models.tenancy import Scope
from tests.api.conftest import Process
from tests.api.served import Served
from tests.api.tenants import new_key, new_tenant
from tests.api.test_create import PATH
from tests.api.test_read import FIELDS, create, id_in
from tests.factories import Deckhand


async def test_a_recording_on_hold_is_deleted_once_it_is_released(
    api: httpx.AsyncClient, process_it: Process
) -> None:
    path = await create(api)
    await process_it(id_in(path))
    assert (await api.get(f"{path}/hold")).json() == {"on_hold": False, "since": None}
    answer = await api.put(f"{path}/hold")
    assert (answer.status_code, answer.content) == (204, b"")
    held = (await api.get(f"{path}/hold")).json()
    assert held["on_hold"]
    assert (await api.put(f"{path}/hold")).status_code == 204
    assert (await api.get(f"{path}/hold")).json() == held

    refused = await api.delete(path)
    assert (refused.status_code, refused.json()["code"]) == (409, "on_hold")
    assert list((await api.get(path)).json()) == FIELDS
    for _ in range(2):
        assert (await api.delete(f"{path}/hold")).status_code == 204
    assert (await api.get(f"{path}/hold")).json() == {"on_hold": False, "since": None}
    assert (await api.delete(path)).status_code == 204
    assert (await api.put(f"{path}/hold")).status_code == 404


async def test_another_tenants_and_no_recording_are_not_found(
    api: httpx.AsyncClient, web: Served, database: Database
) -> None:
    path = await create(api)
    stranger = await new_tenant(database)
    async with web.client(stranger.keys.api_key) as other:
        for method in ("GET", "PUT", "DELETE"):
            theirs = await other.request(method, f"{path}/hold")
            none = await api.request(method, f"{PATH}/{uuid4()}/hold")
            assert theirs.status_code == none.status_code == 404
            assert theirs.json() == none.json()


async def test_changing_it_needs_manage_and_seeing_it_read(
    api: httpx.AsyncClient, ingest: httpx.AsyncClient, web: Served, database: Database, hand: Deckhand
) -> None:
    path = await create(api)
    for method in ("GET", "PUT", "DELETE"):
        assert (await ingest.request(method, f"{path}/hold")).status_code == 403
    async with web.client(await new_key(database, hand, Scope.READ)) as reader:
        assert (await reader.get(f"{path}/hold")).status_code == 200
        assert (await reader.put(f"{path}/hold")).status_code == 403
        assert (await reader.delete(f"{path}/hold")).status_code == 403
