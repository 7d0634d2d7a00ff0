"""GET /api/v1/ops/tenants: every number is what the ledger says."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from models import backlog, deletion, lives, queues, tenant_load
from models.db import Database
from models.job import JobKind
from models.tenancy import Project, Tenant
from tests.api.conftest import Process
from tests.api.operators import HOSTILE, OPS, dead, get
from tests.api.tenants import new_tenant
from tests.api.test_openapi import check_answer
from tests.api.test_ops import ops as ops
from tests.factories import Deckhand, accepted
from tests.models.sessions import opened_in_chunks
from tests.models.steps import FAULT, claimed, settle

# Written as somebody would who had all the time in the world.
LEDGER = text(
    """
    SELECT tenant.name,
        (SELECT count(*) FROM job WHERE job.tenant_id = tenant.id AND state = 'due' AND due_at <= now()) AS due,
        (SELECT count(*) FROM job WHERE job.tenant_id = tenant.id AND state = 'running') AS running,
        (SELECT count(*) FROM job WHERE job.tenant_id = tenant.id AND state = 'dead') AS dead,
        (SELECT min(due_at) FROM job WHERE job.tenant_id = tenant.id AND state = 'due' AND due_at <= now()) AS since,
        (SELECT count(*) FROM recording WHERE recording.tenant_id = tenant.id AND status = 'failed'
            AND deleted_at IS NULL) AS failed,
        (SELECT coalesce(sum(octet_length(data)), 0) FROM payload JOIN recording ON recording.id = recording_id
            WHERE recording.tenant_id = tenant.id) AS pending_bytes,
        (SELECT coalesce(sum(accepted), 0) FROM accepted_tally WHERE accepted_tally.tenant_id = tenant.id
            AND hour >= date_trunc('day', now(), 'UTC')) AS accepted_today,
        (SELECT coalesce(sum(accepted), 0) FROM accepted_tally WHERE accepted_tally.tenant_id = tenant.id
            AND hour > now() - interval '30 days') AS accepted_30_days
    FROM tenant WHERE tenant.id = :id
    """
)
HOURS = text(
    """
    INSERT INTO accepted_tally (hour, tenant_id, shard, accepted)
    SELECT date_trunc('hour', now(), 'UTC') - make_interval(days => days), :id, shard, 10
    FROM unnest(ARRAY[2, 29, 31]) AS days, generate_series(0, 1) AS shard
    """
)


@pytest.fixture
async def busy(database: Database, hand: Deckhand, process_it: Process) -> Deckhand:
    """A tenant with jobs in every state that there is, and recordings in every status."""
    await process_it(await accepted(database, hand))
    await dead(database, hand, 2)
    await accepted(database, hand, has_video=True)  # its deadline is not due
    await claimed(database, await accepted(database, hand))
    await settle(database, await claimed(database, await accepted(database, hand)), FAULT)
    await opened_in_chunks(database, hand)
    await deletion.delete_recording(database, hand.tenant_id, await accepted(database, hand))
    rung, ripe, again = [await accepted(database, hand) for _ in range(3)]
    moved = "UPDATE job SET due_at = now() - interval '{} s', ring_at = now() + interval '{} s' WHERE recording_id = :id"
    async with database.transaction() as session:
        for id_, due_s, ring_s in ((rung, 50, 5), (ripe, 70, -70), (again, 60, -1)):
            await session.execute(text(moved.format(due_s, ring_s)), {"id": id_})
        await session.execute(HOURS, {"id": hand.tenant_id})
    return hand


async def agrees(database: Database, seen: dict[str, Any]) -> None:
    async with database.autocommit() as connection:
        ledger = (await connection.execute(LEDGER, {"id": UUID(seen["id"])})).mappings().one()
    counted = ("due", "dead", "failed", "pending_bytes")
    assert [seen[name]["at_least"] for name in counted] == [False] * 4
    flat = seen | {name: seen[name]["count"] for name in counted}
    told = {name: flat[name] for name in ledger if name != "since"}
    assert told == {name: value for name, value in ledger.items() if name != "since"}
    if ledger["since"] is None:
        assert (seen["oldest_due_at"], seen["oldest_due_s"]) == (None, None)
    else:
        since = datetime.fromisoformat(seen["oldest_due_at"])
        assert abs((since - ledger["since"]).total_seconds()) < 0.001
        assert seen["oldest_due_s"] >= 0


async def test_every_number_is_what_the_ledger_says(
    ops: httpx.AsyncClient, busy: Deckhand, database: Database
) -> None:
    await accepted(database, await new_tenant(database))
    listed = await get(ops, "/tenants")
    assert len(listed["tenants"]) == 3
    for seen in listed["tenants"]:
        await agrees(database, seen)
    (mine,) = (await get(ops, "/tenants", q=str(busy.tenant_id)))["tenants"]
    assert mine["due"]["count"] == 6
    assert (mine["running"], mine["dead"]["count"], mine["accepted_today"]) == (1, 2, 11)
    assert mine["accepted_30_days"] == 11 + 40
    assert 70 <= mine["oldest_due_s"] < 100


async def test_one_tenant_is_told_by_queue_by_status_and_by_project(
    ops: httpx.AsyncClient, anyone: httpx.AsyncClient, busy: Deckhand, database: Database
) -> None:
    async with database.transaction() as session:
        session.add(Project(tenant_id=busy.tenant_id, name="Another", retention_days=30))
        await queues.limit(session, JobKind.PROCESS, running_max=None, tenant_running_max=3)
    answer = await ops.get(f"{OPS}/tenants/{busy.tenant_id}")
    check_answer((await anyone.get("/openapi.json")).json(), answer)
    seen = answer.json()
    await agrees(database, seen)
    by_kind = {queue["kind"]: queue for queue in seen["queues"]}
    assert set(by_kind) == set(JobKind)
    async with database.autocommit() as connection:
        states = "SELECT kind, count(*) FILTER (WHERE state = 'due' AND due_at <= now()) AS due, "
        states += "count(*) FILTER (WHERE state = 'running') AS running, count(*) FILTER (WHERE state = 'dead') AS dead "
        rows = await connection.execute(text(f"{states} FROM job GROUP BY kind"))
        ledger = {row.kind: (row.due, row.running, row.dead) for row in rows}
        statuses = text("SELECT status, count(*) FROM recording WHERE deleted_at IS NULL GROUP BY status")
        by_status = {row[0]: row[1] for row in await connection.execute(statuses)}
    for kind, queue in by_kind.items():
        told = queue["due"]["count"], queue["running"], queue["dead"]["count"]
        assert told == ledger.get(kind, (0, 0, 0)), kind
        assert queue["running_max"] == (3 if kind == "process" else None)
    assert (
        seen["recordings"]
        == {"uploading": 0, "processing": 0, "ready": 0, "failed": 0, "at_least": False} | by_status
    )
    assert [(one["name"], one["retention_days"]) for one in seen["projects"]] == [
        ("A project", None),
        ("Another", 30),
    ]
    assert seen["more_projects"] is False
    assert seen["rate_limits"]["key_requests"] == 6000
    assert (await get(ops, "/tenants"))["running_max"] == {"process": 3}
    assert (await ops.get(f"{OPS}/tenants/{uuid4()}")).status_code == 404


async def test_counting_stops_and_says_so(
    ops: httpx.AsyncClient, busy: Deckhand, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenant_load, "COUNTED_MAX", 2)
    monkeypatch.setattr("app.ops_tenants.COUNTED_MAX", 2)
    monkeypatch.setattr(tenant_load, "PENDING_MAX", 1)
    seen = await get(ops, f"/tenants/{busy.tenant_id}")
    for name in ("due", "dead", "failed", "pending_bytes"):
        assert seen[name]["at_least"], name
    assert (seen["dead"]["count"], seen["failed"]["count"]) == (2, 2)
    assert seen["recordings"]["at_least"]
    assert sum(seen["recordings"][name] for name in ("uploading", "processing", "ready", "failed")) == 2


async def test_tenants_are_paged_by_name_and_found(ops: httpx.AsyncClient, database: Database) -> None:
    names = ["Zoo", "ant", "Bee", "Bee", "50% off_", "50 x off x"]
    async with database.transaction() as session:
        session.add_all(Tenant(name=name) for name in names)
    async with database.autocommit() as connection:
        ordered = (
            (await connection.execute(text("SELECT name FROM tenant ORDER BY name, id"))).scalars().all()
        )
    told: list[str] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        page = await get(ops, "/tenants", **params)
        told += [one["name"] for one in page["tenants"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert told == ordered
    for q, expected in (
        ("BEE", ["Bee", "Bee"]),
        ("50%", ["50% off_"]),
        ("f_", ["50% off_"]),
        ("%e%", []),
        ("'", []),
    ):
        assert [one["name"] for one in (await get(ops, "/tenants", q=q))["tenants"]] == expected, q
    assert (await get(ops, "/tenants", q="bee", limit=1))["next_cursor"]
    assert (await get(ops, "/tenants", cursor=str(uuid4())))["tenants"] == []


async def test_the_backlog_begins_with_who_has_waited_for_longest(
    ops: httpx.AsyncClient, hand: Deckhand, database: Database, process_it: Process
) -> None:
    hands = [hand, *[await new_tenant(database) for _ in range(4)]]
    ids = [await accepted(database, one) for one in hands]
    await accepted(database, hands[3])
    await process_it(ids[4])  # who has nothing to wait for is not there
    moved = "UPDATE job SET due_at = now() - interval '{} s', ring_at = now() + interval '{} s' WHERE recording_id = :id"
    async with database.transaction() as session:
        for id_, due_s, ring_s in (
            (ids[0], 5, None),
            (ids[1], 300, 5),
            (ids[2], 200, -1),
            (ids[3], 100, None),
        ):
            ring = (
                text(moved.format(due_s, ring_s))
                if ring_s
                else text(f"UPDATE job SET due_at = now() - interval '{due_s} s' WHERE recording_id = :id")
            )
            await session.execute(ring, {"id": id_})
    expected = [str(hands[number].tenant_id) for number in (1, 2, 3, 0)]
    seen = await get(ops, "/tenants", sort="backlog")
    assert [one["id"] for one in seen["tenants"]] == expected
    ages = [one["oldest_due_s"] for one in seen["tenants"]]
    assert ages == sorted(ages, reverse=True)
    for one in seen["tenants"]:
        await agrees(database, one)
    first = await get(ops, "/tenants", sort="backlog", limit=2)
    assert ([one["id"] for one in first["tenants"]], first["next_cursor"]) == (expected[:2], None)
    only = await get(ops, "/tenants", sort="backlog", q=expected[2])
    assert [one["id"] for one in only["tenants"]] == [expected[2]]
    assert (await get(ops, "/tenants", sort="backlog", q="nobody"))["tenants"] == []
    refused = await ops.get(f"{OPS}/tenants", params={"sort": "backlog", "cursor": expected[0]})
    assert refused.status_code == 400


async def test_a_walk_through_the_backlog_ends(
    ops: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "MET_MAX", 1)
    monkeypatch.setattr(backlog, "WALKED_MAX", 2)
    for _ in range(4):
        await accepted(database, await new_tenant(database))
    assert len((await get(ops, "/tenants", sort="backlog"))["tenants"]) == 2


async def test_a_hostile_name_is_data(ops: httpx.AsyncClient, database: Database) -> None:
    name = HOSTILE + "x" * 100_000
    async with database.transaction() as session:
        session.add(tenant := Tenant(name=name))
    answer = await ops.get(f"{OPS}/tenants", params={"q": "<script>"})
    assert b"\x1b" not in answer.content
    assert [one["name"] for one in answer.json()["tenants"]] == [name]
    assert (await get(ops, f"/tenants/{tenant.id}"))["name"] == name


@pytest.mark.parametrize(
    "params", [{"q": ""}, {"q": "a\0"}, {"q": "x" * 201}, {"sort": "size"}, {"limit": 101}]
)
async def test_a_question_is_typed(ops: httpx.AsyncClient, params: dict[str, Any]) -> None:
    answer = await ops.get(f"{OPS}/tenants", params=params)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")


async def test_what_takes_too_long_is_given_up(
    ops: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        tenant_load,
        "_SUMS",
        text("SELECT pg_sleep(60), CAST(:ids AS uuid[]), CAST(:most AS int), CAST(:pending_most AS int)"),
    )
    monkeypatch.setattr(lives.bounded.__wrapped__, "__defaults__", (0.05,))
    answer = await ops.get(f"{OPS}/tenants")
    assert (answer.status_code, answer.json()["code"]) == (422, "too_costly")
