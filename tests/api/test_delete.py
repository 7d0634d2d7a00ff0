"""DELETE /api/v1/recordings/{id}."""

from uuid import uuid4

import httpx
from sqlalchemy import text

from models.db import Database
from models.tenancy import Scope
from tests.api.conftest import Process
from tests.api.served import Served
from tests.api.tenants import new_key, new_tenant
from tests.api.test_create import PATH
from tests.api.test_read import create, id_in
from tests.factories import Deckhand


async def test_a_deleted_recording_is_gone_from_every_read_at_once(
    api: httpx.AsyncClient, process_it: Process
) -> None:
    path = await create(api)
    await process_it(id_in(path))
    etag = (await api.get(path)).headers["ETag"]
    answer = await api.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    for read in (path, f"{path}/events", f"{path}/logs"):
        assert (await api.get(read, headers={"If-None-Match": etag})).status_code == 404
    assert (await api.get(PATH)).json() == {"recordings": [], "next_cursor": None}
    assert (await api.delete(path)).status_code == 404
    assert (await api.post(f"{path}/retry")).status_code == 404


async def test_what_is_left_to_remove_is_owed_in_the_same_commit(
    api: httpx.AsyncClient, database: Database
) -> None:
    await api.delete(await create(api))
    async with database.autocommit() as connection:
        jobs = (await connection.execute(text("SELECT kind FROM job"))).scalars().all()
        payloads = (await connection.execute(text("SELECT count(*) FROM payload"))).scalar_one()
    assert (jobs, payloads) == (["purge"], 0)


async def test_another_tenants_and_no_recording_are_not_found(
    api: httpx.AsyncClient, web: Served, database: Database
) -> None:
    path = await create(api)
    stranger = await new_tenant(database)
    async with web.client(stranger.keys.api_key) as other:
        theirs, none = await other.delete(path), await api.delete(f"{PATH}/{uuid4()}")
    assert theirs.status_code == none.status_code == 404
    assert theirs.json() == none.json()
    assert (await api.get(path)).status_code == 200


async def test_it_needs_the_scope_manage(
    api: httpx.AsyncClient, web: Served, database: Database, hand: Deckhand
) -> None:
    path = await create(api)
    async with web.client(await new_key(database, hand, Scope.READ, Scope.INGEST)) as reader:
        assert (await reader.delete(path)).status_code == 403
    async with web.client(await new_key(database, hand, Scope.MANAGE)) as manager:
        assert (await manager.delete(path)).status_code == 204
