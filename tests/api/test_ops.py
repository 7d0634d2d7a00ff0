"""GET /api/v1/ops/…: what operators ask."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from app import gatherer
from models import conservation, deletion, lives
from models.conservation import BrokenHour
from models.db import Database
from models.job import JobKind
from models.overview import running_jobs
from models.processes import Role, beat
from models.tenancy import Scope
from tests.api.conftest import Process, Serve
from tests.api.operators import HOSTILE, OPS, dead, get, hostile, job_id
from tests.api.served import Served
from tests.api.tenants import new_key, new_tenant
from tests.api.test_openapi import check_answer
from tests.factories import Deckhand, a_process, accepted
from tests.models.steps import FAULT, claimed, settle

PATHS = (
    "GET /overview",
    "GET /jobs",
    f"GET /jobs/{UUID(int=1)}",
    f"POST /jobs/{UUID(int=1)}/retry",
    f"POST /jobs/{UUID(int=1)}/discard",
    f"GET /recordings/{UUID(int=1)}",
    "GET /failures",
    "POST /actions",
    "GET /actions",
    f"GET /actions/{UUID(int=1)}",
    f"POST /actions/{UUID(int=1)}/stop",
    "GET /audit",
    "POST /queues/process/pause",
    "POST /queues/nothing/resume",
    "GET /workers",
    "GET /processes",
    "PUT /queues/process/limits",
    f"POST /workers/{UUID(int=1)}/drain",
    f"POST /workers/{UUID(int=1)}/resume",
    "POST /refill",
    "GET /conservation",
    "GET /rates",
    "GET /tenants",
    f"GET /tenants/{UUID(int=1)}",
)


@pytest.fixture
async def ops(web: Served, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose key may only operate, of a tenant that has no recordings."""
    async with web.client(await new_key(database, await new_tenant(database), Scope.OPERATE)) as client:
        yield client


async def test_without_operate_everything_is_the_same_403(
    api: httpx.AsyncClient, anyone: httpx.AsyncClient, hand: Deckhand, database: Database
) -> None:
    there = await job_id(database, (await dead(database, hand))[0])
    said = set()
    for path in (*PATHS, f"GET /jobs/{there}", f"POST /jobs/{there}/retry"):
        method, _, where = path.partition(" ")
        answer = await api.request(method, OPS + where)
        assert answer.status_code == 403, path
        said.add(answer.text)
        assert (await anyone.request(method, OPS + where)).status_code == 401
    assert len(said) == 1


async def test_all_is_as_the_openapi_document_says(
    ops: httpx.AsyncClient, anyone: httpx.AsyncClient, hand: Deckhand, database: Database
) -> None:
    document = (await anyone.get("/openapi.json")).json()
    (recording_id,) = await dead(database, hand)
    worker = a_process(Role.WORKER, kinds=["process"])
    await beat(database, worker)
    order = {"verb": "retry", "filter": {"state": "dead"}}
    preview = await ops.post(f"{OPS}/actions", json=order | {"dry_run": True})
    begun = await ops.post(f"{OPS}/actions", json=order)
    id_ = await job_id(database, recording_id)
    answers = [preview, begun, await ops.get(begun.headers["Location"])]
    for method, path in (
        ("GET", "/overview"),
        ("GET", "/rates"),
        ("GET", "/jobs"),
        ("GET", f"/jobs/{id_}"),
        ("GET", f"/recordings/{recording_id}"),
        ("GET", "/failures"),
        ("GET", "/actions"),
        ("POST", f"/actions/{begun.json()['id']}/stop"),
        ("GET", "/audit"),
        ("POST", "/queues/process/pause"),
        ("POST", "/queues/process/resume"),
        ("GET", "/workers"),
        ("GET", "/processes"),
        ("POST", f"/workers/{worker.id}/drain"),
        ("POST", f"/workers/{worker.id}/resume"),
        ("POST", "/refill"),
        ("POST", f"/jobs/{id_}/retry"),
        ("POST", f"/jobs/{id_}/discard"),
        ("POST", f"/jobs/{id_}/discard"),
        ("GET", f"/jobs/{uuid4()}"),
    ):
        answers.append(await ops.request(method, OPS + path))
    answers.append(await ops.put(f"{OPS}/queues/process/limits", json={"running_max": 4}))
    for answer in answers:
        assert answer.status_code < 500, answer.text
        check_answer(document, answer)
    assert [answer.status_code for answer in answers] == [200, 202, *[200] * 19, 409, 404, 200]


async def test_a_job_says_why_and_what_its_attempts_were(
    ops: httpx.AsyncClient, hand: Deckhand, database: Database
) -> None:
    recording_id = await accepted(database, hand)
    await settle(database, await claimed(database, recording_id), FAULT)
    id_ = await job_id(database, recording_id)
    read = await get(ops, f"/jobs/{id_}")
    assert read["job"]["recording_id"] == str(recording_id)
    assert read["job"]["tenant_id"] == str(hand.tenant_id)
    assert read["why"].endswith(".")
    (attempt,) = read["attempts"]
    assert (attempt["number"], attempt["outcome"], attempt["worker"]) == (1, "fault", "a test")
    assert attempt["fingerprint"]


async def test_a_life_is_told_in_its_order(
    ops: httpx.AsyncClient, hand: Deckhand, database: Database, process_it: Process
) -> None:
    recording_id = await accepted(database, hand)
    await process_it(recording_id)
    life = await get(ops, f"/recordings/{recording_id}")
    told = [(one["what"], one["name"], one["state"]) for one in life["moments"]]
    assert [(name, state) for what, name, state in told if what == "status"] == [
        ("uploading", "accepted"),
        ("processing", "claimed"),
        ("ready", "done"),
    ]
    assert {one for one in told if one[0] != "status"} == {
        ("job", "process", "done"),
        ("attempt", "process", "done"),
        ("object", "tapes", "live"),
        ("object", "sidecars", "live"),
    }
    assert [one["at"] for one in life["moments"]] == sorted(one["at"] for one in life["moments"])
    assert all(one["duration_ms"] is not None for one in life["moments"] if one["what"] == "attempt")
    await deletion.delete_recording(database, hand.tenant_id, recording_id)
    assert (await get(ops, f"/recordings/{recording_id}"))["deleted_at"]
    assert (await ops.get(f"{OPS}/recordings/{uuid4()}")).status_code == 404


async def test_failures_come_in_groups(ops: httpx.AsyncClient, hand: Deckhand, database: Database) -> None:
    await dead(database, hand, 3)
    await dead(database, await new_tenant(database), 1)
    await dead(database, hand, 1, hostile())
    many, few = (await get(ops, "/failures"))["failures"]
    counts = [many[name] for name in ("attempts", "jobs", "recordings", "tenants")]
    assert counts == [4, 4, 4, 2]
    assert few["place"] == "replay.plan:plan"
    assert many["first_at"] <= many["last_at"]
    mine = (await get(ops, "/failures", tenant_id=str(hand.tenant_id)))["failures"]
    assert [one["attempts"] for one in mine] == [3, 1]
    only = (await get(ops, "/failures", fingerprint=few["fingerprint"]))["failures"]
    assert [one["attempts"] for one in only] == [1]


async def test_jobs_are_filtered_and_paged(
    ops: httpx.AsyncClient, hand: Deckhand, database: Database, process_it: Process
) -> None:
    ids = await dead(database, hand, 3)
    done = await accepted(database, hand)
    await process_it(done)
    waiting = await accepted(database, hand)

    async def listed(**params: Any) -> list[str]:
        found: list[str] = []
        while True:
            page = await get(ops, "/jobs", **params, limit=2)
            found += [one["recording_id"] for one in page["jobs"]]
            if page["next_cursor"] is None:
                return found
            params["cursor"] = page["next_cursor"]

    assert await listed() == [str(one) for one in (waiting, *reversed(ids))]
    assert await listed(state="dead") == [str(one) for one in reversed(ids)]
    assert await listed(state="done") == [str(done)]
    assert await listed(state="due") == [str(waiting)]
    assert await listed(state="scheduled") == []
    assert await listed(recording_id=str(ids[0])) == [str(ids[0])]
    assert await listed(error_code="no_valid_events", kind="process") == [str(one) for one in reversed(ids)]
    assert await listed(tenant_id=str(uuid4())) == []
    assert await listed(older_than_s=3600) == []
    assert await listed(older_than_s=0) == await listed()
    assert await listed(tenant_id=str(hand.tenant_id)) == await listed()
    group = (await get(ops, "/failures"))["failures"][0]
    assert await listed(fingerprint=group["fingerprint"]) == [str(one) for one in reversed(ids)]


@pytest.mark.parametrize(
    "params",
    [
        {"kind": "DROP TABLE job"},
        {"state": "lost"},
        {"fingerprint": "'; --"},
        {"error_code": "a b"},
        {"tenant_id": "x"},
        {"older_than_s": -1},
        {"older_than_s": "nan"},
        {"older_than_s": "inf"},
        {"limit": 101},
    ],
)
async def test_a_filter_is_typed(ops: httpx.AsyncClient, params: dict[str, Any]) -> None:
    answer = await ops.get(f"{OPS}/jobs", params=params)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")


async def test_what_takes_too_long_says_which_filter_to_add(
    ops: httpx.AsyncClient, hand: Deckhand, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await dead(database, hand)
    monkeypatch.setattr(lives, "_GROUPS", lives.text("SELECT pg_sleep(60), :kind, :tenant_id, :fingerprint"))
    monkeypatch.setattr(lives.bounded.__wrapped__, "__defaults__", (0.05,))
    answer = await ops.get(f"{OPS}/failures")
    assert (answer.status_code, answer.json()["code"]) == (422, "too_costly")
    assert "since_s" in answer.json()["detail"]


async def test_counting_recordings_may_take_too_long(
    ops: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        conservation, "_SUMS", lives.text("SELECT pg_sleep(60) WHERE CAST(:since AS timestamptz) < :until")
    )
    monkeypatch.setattr(lives.bounded.__wrapped__, "__defaults__", (0.05,))
    answer = await ops.get(f"{OPS}/conservation")
    assert (answer.status_code, answer.json()["code"]) == (422, "too_costly")
    assert "fewer days" in answer.json()["detail"]


async def test_hostile_text_is_data(ops: httpx.AsyncClient, hand: Deckhand, database: Database) -> None:
    (recording_id,) = await dead(database, hand, 1, hostile())
    answer = await ops.get(f"{OPS}/jobs/{await job_id(database, recording_id)}")
    assert answer.headers["Content-Type"].startswith("application/json")
    assert b"\x1b" not in answer.content
    assert answer.json()["attempts"][0]["traceback"] == HOSTILE


async def test_the_overview_counts_and_says_what_holds_back(
    ops: httpx.AsyncClient, hand: Deckhand, database: Database
) -> None:
    await dead(database, hand, 2)
    await claimed(database, await accepted(database, hand))
    await accepted(database, hand, has_video=True)
    await ops.post(f"{OPS}/queues/process/pause")
    seen = await get(ops, "/overview")
    by_kind = {queue["kind"]: queue for queue in seen["queues"]}
    process = by_kind["process"]
    assert [process[name] for name in ("due", "scheduled", "running", "dead")] == [1, 0, 1, 2]
    assert process["oldest_due_s"] >= 0
    assert "@" in process["paused_by"]
    assert by_kind["video_deadline"]["scheduled"] == 1
    assert by_kind["relate"]["paused_at"] is None
    assert seen["redis"] == "there"


async def test_many_jobs_are_not_counted_for_who_asks(
    serve: Serve, hand: Deckhand, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gatherer, "FEW", 0)
    monkeypatch.setattr(gatherer, "EVERY_S", 3600)
    id_ = await accepted(database, hand)
    key = await new_key(database, await new_tenant(database), Scope.OPERATE)
    async with serve().client(key) as client:
        first = await get(client, "/overview")
        await claimed(database, id_)
        then = await get(client, "/overview")
    by_kind = [{queue["kind"]: queue for queue in seen["queues"]} for seen in (first, then)]
    assert [one["process"]["due"] for one in by_kind] == [1, 1]
    assert [one["process"]["running"] for one in by_kind] == [0, 1]
    assert first["counted_at"] == then["counted_at"] < then["at"]


async def test_conservation(
    ops: httpx.AsyncClient, database: Database, hand: Deckhand, process_it: Process
) -> None:
    ids = [await accepted(database, hand) for _ in range(4)]
    await process_it(ids[0])
    await deletion.delete_recording(database, hand.tenant_id, ids[1])
    sums = {"accepted": 4, "ready": 1, "failed": 0, "in_progress": 2, "deleted": 1, "missing": 0}
    answer = await ops.get(f"{OPS}/conservation")
    (hour,) = answer.json()["hours"]
    assert {name: hour[name] for name in sums} == sums
    (day,) = answer.json()["days"]
    assert {name: day[name] for name in sums} == sums
    assert day["day"] == hour["hour"][:10]
    assert (await ops.get(f"{OPS}/conservation", params={"days": 32})).status_code == 400
    assert answer.json()["broken"] == []
    async with database.transaction() as session:
        gone = {"missing": 1, "recordings": [ids[2]]}
        session.add(BrokenHour(hour=datetime(2026, 5, 4, 10, tzinfo=UTC), **gone))
    (broken,) = (await ops.get(f"{OPS}/conservation")).json()["broken"]
    assert (broken["hour"], broken["missing"]) == ("2026-05-04T10:00:00Z", 1)
    assert broken["recordings"] == [str(ids[2])]


async def test_processes_of_every_role_are_listed(
    ops: httpx.AsyncClient, hand: Deckhand, database: Database
) -> None:
    work = await claimed(database, await accepted(database, hand))
    for role, name in ((Role.DISPATCHER, "d:1"), (Role.WORKER, "a test")):
        await beat(database, a_process(role, name=name))
    async with database.transaction() as session:
        gone = "UPDATE process SET heartbeat_at = now() - interval '2 minutes' WHERE name = 'd:1'"
        await session.execute(text(gone))
    listed = {one["name"]: one for one in (await get(ops, "/processes"))["processes"]}
    dispatcher, worker = listed["d:1"], listed["a test"]
    assert (dispatcher["role"], dispatcher["state"], dispatcher["running"]) == ("dispatcher", "gone", 0)
    assert (worker["role"], worker["state"], worker["running"]) == ("worker", "working", 1)
    assert (worker["host"], worker["pid"], worker["version"]) == ("h", 1, "1")
    assert [one["name"] for one in (await get(ops, "/workers"))["workers"]] == ["a test"]
    overview = await get(ops, "/overview")
    assert (overview["workers"], overview["dispatchers"]) == (1, 0)
    (running,) = await running_jobs(database, limit=5)
    assert (running.id, running.kind, running.worker) == (work.claim.job_id, JobKind.PROCESS, "a test")
