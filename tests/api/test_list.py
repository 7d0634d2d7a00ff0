"""GET /api/v1/recordings: pages, filters, bounds."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from models.db import Database
from models.tenancy import Project
from tests.api.conftest import Process
from tests.api.served import Served
from tests.api.tenants import new_tenant
from tests.api.test_create import PATH
from tests.api.test_read import FIELDS, create, id_in
from tests.factories import Deckhand, accepted, upload


async def ids(api: httpx.AsyncClient, **query: Any) -> list[str]:
    answer = await api.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["recordings"]]


async def made(api: httpx.AsyncClient, count: int) -> list[str]:
    """The ids of new recordings, newest first."""
    return [str(id_in(await create(api))) for _ in range(count)][::-1]


async def test_recordings_come_newest_first_as_they_are_read_one_by_one(api: httpx.AsyncClient) -> None:
    expected = await made(api, 3)
    listed = (await api.get(PATH)).json()
    assert [one["id"] for one in listed["recordings"]] == expected
    assert list(listed["recordings"][0]) == FIELDS
    assert listed["recordings"][0] == (await api.get(f"{PATH}/{expected[0]}")).json()
    assert listed["next_cursor"] is None


async def test_pages_follow_each_other_while_recordings_come_and_go(api: httpx.AsyncClient) -> None:
    expected = await made(api, 5)
    first = (await api.get(PATH, params={"limit": 2})).json()
    assert [one["id"] for one in first["recordings"]] == expected[:2]
    await create(api)
    await api.delete(f"{PATH}/{expected[1]}")
    second = (await api.get(PATH, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [one["id"] for one in second["recordings"]] == expected[2:4]
    third = (await api.get(PATH, params={"limit": 2, "cursor": second["next_cursor"]})).json()
    assert [one["id"] for one in third["recordings"]] == expected[4:]
    assert third["next_cursor"] is None


async def test_a_page_that_ends_exactly_is_the_last(api: httpx.AsyncClient) -> None:
    await made(api, 2)
    assert (await api.get(PATH, params={"limit": 2})).json()["next_cursor"] is None


async def test_25_is_the_usual_limit(api: httpx.AsyncClient, database: Database, hand: Deckhand) -> None:
    for _ in range(26):
        await accepted(database, hand)
    assert len(await ids(api)) == 25
    assert len(await ids(api, limit=100)) == 26


async def test_status_and_project_filter(
    api: httpx.AsyncClient, database: Database, hand: Deckhand, process_it: Process
) -> None:
    async with database.transaction() as session:
        project = Project(tenant_id=hand.tenant_id, name="Another")
        session.add(project)
    here, there = await create(api), await create(api, upload(project_id=str(project.id)))
    await process_it(id_in(here))
    assert await ids(api, status="ready") == [str(id_in(here))]
    assert await ids(api, status="uploading") == [str(id_in(there))]
    assert await ids(api, project_id=str(project.id)) == [str(id_in(there))]
    assert await ids(api, project_id=str(project.id), status="ready") == []
    assert await ids(api, project_id=str(uuid4())) == []


async def test_session_and_fingerprint_filter(
    api: httpx.AsyncClient, database: Database, hand: Deckhand
) -> None:
    wanted = await accepted(database, hand, session_id="sess 1&2", fingerprint="fp")
    await accepted(database, hand, session_id="another")
    assert await ids(api, session_id="sess 1&2") == [str(wanted)]
    assert await ids(api, fingerprint="fp") == [str(wanted)]
    assert await ids(api, session_id="fp") == []


async def test_nothing_of_another_tenant_is_listed(
    api: httpx.AsyncClient, web: Served, database: Database, hand: Deckhand
) -> None:
    cursor = (await made(api, 2))[0]
    stranger = await new_tenant(database)
    async with web.client(stranger.keys.api_key) as other:
        assert await ids(other) == []
        assert await ids(other, project_id=str(hand.api_key.project_id)) == []
        assert await ids(other, cursor=cursor) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "-1"),
        ("limit", "many"),
        ("limit", "9" * 40),
        ("limit", "1e3"),
        ("cursor", "not-a-uuid"),
        ("cursor", "'; DROP TABLE recording; --"),
        ("project_id", "7"),
        ("status", "done"),
        ("status", ""),
        ("session_id", "nul\0"),
        ("fingerprint", "x" * 501),
    ],
)
async def test_a_parameter_out_of_bounds_is_named(api: httpx.AsyncClient, name: str, value: str) -> None:
    answer = await api.get(PATH, params={name: value})
    assert answer.status_code == 400
    problem = answer.json()
    assert problem["code"] == "validation_error"
    assert [error["field"] for error in problem["errors"]] == [name]
    assert name in problem["detail"]


async def test_an_ingest_key_lists_nothing(ingest: httpx.AsyncClient) -> None:
    answer = await ingest.get(PATH)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_a_page_is_read_by_an_index(api: httpx.AsyncClient, database: Database, hand: Deckhand) -> None:
    query = (
        "EXPLAIN SELECT * FROM recording WHERE tenant_id = :tenant AND deleted_at IS NULL AND id < :cursor "
        "ORDER BY id DESC LIMIT 26"
    )
    await accepted(database, hand)
    await accepted(database, await new_tenant(database))
    many = (  # what the planner knows is then of this table, not of what a test before had in it
        "INSERT INTO recording SELECT (jsonb_populate_record(recording, jsonb_build_object('id', gen_random_uuid()))).* "
        "FROM recording, generate_series(1, 1000)"
    )
    async with database.autocommit() as connection:
        await connection.execute(text(many))
        await connection.execute(text("ANALYZE recording"))
        await connection.execute(text("SET enable_seqscan = off"))
        plan = await connection.execute(text(query), {"tenant": hand.tenant_id, "cursor": UUID(int=1 << 127)})
        lines = " ".join(row[0] for row in plan)
        await connection.execute(text("RESET enable_seqscan"))
    assert "ix_recording_tenant_newest" in lines
    assert "Sort" not in lines
