"""POST /api/v1/ops/…: what operators do."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from models.db import Database
from models.processes import Role, beat
from models.recording import Status
from tests.api.operators import OPS, dead, get, job_id
from tests.api.test_ops import ops as ops
from tests.factories import Deckhand, a_process, accepted
from tests.models.steps import status
from workers import actions

DEAD = {"state": "dead"}


async def act(client: httpx.AsyncClient, verb: str, filter_: Any, **more: Any) -> httpx.Response:
    return await client.post(f"{OPS}/actions", json={"verb": verb, "filter": filter_, **more})


async def test_a_dry_run_changes_nothing(ops: httpx.AsyncClient, hand: Deckhand, database: Database) -> None:
    ids = await dead(database, hand, 12)
    seen = (await act(ops, "retry", DEAD, dry_run=True)).json()
    assert (seen["dry_run"], seen["matched"], seen["at_least"]) == (True, 12, False)
    assert seen["sample"] == [str(await job_id(database, one)) for one in ids[:10]]
    assert seen["oldest_at"]
    await actions.advance(database, video_wait_s=60)
    assert (await get(ops, "/actions"))["actions"] == []
    assert (await get(ops, "/audit"))["entries"] == []
    assert await status(database, ids[0]) is Status.FAILED


async def test_an_action_is_followed_to_its_end_and_logged(
    ops: httpx.AsyncClient, hand: Deckhand, database: Database
) -> None:
    ids = await dead(database, hand, 4)
    begun = await act(ops, "discard", DEAD)
    assert begun.status_code == 202
    assert begun.json()["state"] == "pending"
    where = begun.headers["Location"]
    for _ in range(3):
        await actions.advance(database, video_wait_s=60)
    done = (await ops.get(where)).json()
    assert (done["state"], done["matched"], done["done"], done["skipped"]) == ("done", 4, 4, 0)
    assert done["finished_at"]
    log = (await get(ops, "/audit"))["entries"]
    assert [(one["what"], one["count"]) for one in log] == [("discard done", 4), ("discard begun", 4)]
    assert all("@" in one["who"] and "A key" in one["who"] for one in log)
    assert [await status(database, one) for one in ids] == [Status.FAILED] * 4


async def test_of_a_selection_only_that(ops: httpx.AsyncClient, hand: Deckhand, database: Database) -> None:
    ids = await dead(database, hand, 3)
    chosen = [str(await job_id(database, one)) for one in ids[:2]]
    await act(ops, "retry", {"job_ids": chosen})
    for _ in range(3):
        await actions.advance(database, video_wait_s=60)
    expected = [Status.PROCESSING, Status.PROCESSING, Status.FAILED]
    assert [await status(database, one) for one in ids] == expected


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"verb": "retry", "filter": {}}, "filter"),
        ({"verb": "retry"}, None),
        ({"verb": "drop", "filter": DEAD}, "verb"),
        ({"verb": "retry", "filter": {"where": "1=1"}}, "filter"),
        ({"verb": "retry", "filter": {"state": "done"}}, "filter.state"),
        ({"verb": "retry", "filter": {"job_ids": []}}, "filter.job_ids"),
        ({"verb": "retry", "filter": {"fingerprint": "'"}}, "filter.fingerprint"),
        ([], None),
    ],
)
async def test_a_wrong_order_does_nothing(
    ops: httpx.AsyncClient, database: Database, body: Any, field: str | None
) -> None:
    answer = await ops.post(f"{OPS}/actions", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")
    assert [error["field"] for error in answer.json().get("errors", [])] == ([field] if field else [])
    assert (await get(ops, "/actions"))["actions"] == []


async def test_two_operators_at_one_job_do_one_thing(
    ops: httpx.AsyncClient, hand: Deckhand, database: Database
) -> None:
    (recording_id,) = await dead(database, hand)
    where = f"{OPS}/jobs/{await job_id(database, recording_id)}"
    both = await asyncio.gather(*(ops.post(f"{where}/{verb}") for verb in ("retry", "retry")))
    assert sorted(answer.status_code for answer in both) == [200, 409]
    refused = max(both, key=lambda answer: answer.status_code).json()
    assert refused["code"] == "not_applicable"
    assert "There is nothing to retry about this job." in refused["detail"]
    assert [one["what"] for one in (await get(ops, "/audit"))["entries"]] == ["retry"]


async def test_a_queue_is_paused_once_and_goes_on(ops: httpx.AsyncClient) -> None:
    for path, changed in (("pause", True), ("pause", False), ("resume", True), ("resume", False)):
        answer = await ops.post(f"{OPS}/queues/relate/{path}")
        assert answer.json() == {"changed": changed, "count": int(changed)}
    log = (await get(ops, "/audit"))["entries"]
    assert [(one["what"], one["subject"]) for one in log] == [
        ("resume", "queue relate"),
        ("pause", "queue relate"),
    ]
    assert (await ops.post(f"{OPS}/queues/nothing/pause")).status_code == 404


async def test_a_queue_is_limited(ops: httpx.AsyncClient) -> None:
    where = f"{OPS}/queues/relate/limits"

    async def limits() -> tuple[Any, Any]:
        (queue,) = [one for one in (await get(ops, "/overview"))["queues"] if one["kind"] == "relate"]
        return queue["running_max"], queue["tenant_running_max"]

    for body, changed, after in (
        ({"tenant_running_max": None}, False, (None, None)),
        ({"running_max": 4, "tenant_running_max": 0}, True, (4, 0)),
        ({"tenant_running_max": 2}, True, (4, 2)),
        ({"running_max": 4}, False, (4, 2)),
        ({"running_max": None}, True, (None, 2)),
    ):
        answer = await ops.put(where, json=body)
        assert (answer.status_code, answer.json()) == (200, {"changed": changed, "count": int(changed)})
        assert await limits() == after
    log = (await get(ops, "/audit"))["entries"]
    assert [(one["what"], one["subject"], one["details"]) for one in log] == [
        ("limit", "queue relate", {"running_max": None}),
        ("limit", "queue relate", {"tenant_running_max": 2}),
        ("limit", "queue relate", {"running_max": 4, "tenant_running_max": 0}),
    ]
    assert (await ops.put(f"{OPS}/queues/nothing/limits", json={"running_max": 1})).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, None),
        ([], None),
        ({"running_max": -1}, "running_max"),
        ({"running_max": 1.5}, "running_max"),
        ({"running_max": 2**31}, "running_max"),
        ({"tenant_running_max": "2"}, "tenant_running_max"),
        ({"runing_max": 2}, None),
    ],
)
async def test_a_wrong_limit_does_nothing(ops: httpx.AsyncClient, body: Any, field: str | None) -> None:
    answer = await ops.put(f"{OPS}/queues/relate/limits", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")
    assert [error["field"] for error in answer.json().get("errors", [])] == ([field] if field else [])
    assert (await get(ops, "/audit"))["entries"] == []


async def test_a_worker_is_drained(ops: httpx.AsyncClient, database: Database) -> None:
    worker = a_process(Role.WORKER, kinds=["process"])
    assert await beat(database, worker) is False
    assert (await ops.post(f"{OPS}/workers/{worker.id}/drain")).json()["changed"] is True
    assert (await ops.post(f"{OPS}/workers/{worker.id}/drain")).json()["changed"] is False
    (seen,) = (await get(ops, "/workers"))["workers"]
    assert (seen["state"], seen["name"]) == ("draining", "w:1")
    assert await beat(database, worker) is True
    assert (await ops.post(f"{OPS}/workers/{worker.id}/resume")).json()["changed"] is True
    assert (await ops.post(f"{OPS}/workers/{worker.id}/resume")).json()["changed"] is False
    assert await beat(database, worker) is False
    assert [one["what"] for one in (await get(ops, "/audit"))["entries"]] == ["resume", "drain"]
    assert (await ops.post(f"{OPS}/workers/{uuid4()}/resume")).status_code == 404
    assert (await ops.post(f"{OPS}/workers/{uuid4()}/drain")).status_code == 404


async def test_a_refill_rings_again_for_what_was_rung_for(
    ops: httpx.AsyncClient, hand: Deckhand, database: Database
) -> None:
    await accepted(database, hand)
    await accepted(database, hand)
    async with database.transaction() as session:
        some = "SELECT id FROM job ORDER BY id LIMIT 1"
        await session.execute(text(f"UPDATE job SET ring_at = now() + interval '1 h' WHERE id = ({some})"))
    assert (await ops.post(f"{OPS}/refill")).json() == {"changed": True, "count": 1}
    assert (await ops.post(f"{OPS}/refill")).json() == {"changed": False, "count": 0}
