"""`/ops/jobs`: the list against the ledger, filters that are wrong, one job, and two operators at once."""

import asyncio
import re
from html import unescape
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from models.db import Database
from models.job import JobKind
from models.lives import TooCostly
from models.recording import Status
from tests.api.operators import HOSTILE, OPS, dead, get, hostile, job_id
from tests.api.pages.visitor import Sheet, Visitor
from tests.api.test_ops import ops as ops
from tests.factories import Deckhand, accepted, job_of
from tests.models.steps import FAULT, claimed, settle, status

FILTERS: list[dict[str, Any]] = [
    {},
    {"kind": "process"},
    {"kind": "relate"},
    {"state": "dead"},
    {"state": "due"},
    {"state": "scheduled"},
    {"error_code": "no_valid_events"},
    {"error": "VALID"},
    {"error": "100 %_", "state": "dead"},
    {"worker": "test"},
    {"worker": "nobody", "kind": "process"},
    {"older_than_s": "0"},
    {"older_than_s": "3600", "kind": "process"},
]


def listed(sheet: Sheet) -> list[str]:
    """The jobs of a page, in its order."""
    return re.findall(r'<tr id="job-([0-9a-f-]{36})"', sheet.html)


async def sql(db: Database, statement: str, **values: Any) -> None:
    async with db.transaction() as session:
        await session.execute(text(statement), values)


async def some_of_each(db: Database, hand: Deckhand) -> list[UUID]:
    """Two dead, one that waits for a retry, one that runs, and one that is due; the oldest first."""
    ids = await dead(db, hand, 2)
    later, running, due = [await accepted(db, hand) for _ in range(3)]
    await settle(db, await claimed(db, later), FAULT)
    soon = "SET due_at = now() + interval '1 h', ring_at = now() + interval '1 h' WHERE recording_id = :id"
    await sql(db, f"UPDATE job {soon}", id=later)
    await claimed(db, running)
    return [*ids, later, running, due]


@pytest.mark.parametrize("given", FILTERS)
async def test_the_list_is_that_of_the_api(
    operator: Visitor, ops: httpx.AsyncClient, database: Database, hand: Deckhand, given: dict[str, Any]
) -> None:
    await some_of_each(database, hand)
    page = await operator.see("/ops/jobs", **given)
    expected = (await get(ops, "/jobs", **given))["jobs"]
    assert listed(page) == [job["id"] for job in expected]
    for job in expected:
        assert f"/ops/jobs/{job['id']}" in page.links
        assert f"/ops/recordings/{job['recording_id']}" in page.links
        assert f"/ops/tenants/{job['tenant_id']}" in page.links
        row = re.search(rf'<tr id="job-{job["id"]}".*?</tr>', page.html, re.DOTALL)
        assert row
        assert f'class="state {job["state"]}"' in row[0]
        assert f">{job['error_code'] or ''}</code>" in row[0] or not job["error_code"]
        assert (f'action="/ops/jobs/{job["id"]}/retry"' in row[0]) == (job["state"] in ("dead", "scheduled"))


async def test_of_one_recording_and_tenant_only_theirs(
    operator: Visitor, database: Database, hand: Deckhand
) -> None:
    ids = await some_of_each(database, hand)
    (job,) = listed(await operator.see("/ops/jobs", recording_id=f" {ids[0]} "))
    assert job == str(await job_id(database, ids[0]))
    assert len(listed(await operator.see("/ops/jobs", tenant_id=hand.tenant_id))) == 5
    nothing = await operator.see("/ops/jobs", tenant_id=uuid4())
    assert "No job matches" in nothing.text
    assert "/ops/jobs" in nothing.links


async def test_older_pages_go_on_where_the_last_one_ended_and_back(
    operator: Visitor, database: Database, hand: Deckhand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.pages.jobs.ROWS", 2)
    await some_of_each(database, hand)
    page, seen = await operator.see("/ops/jobs", kind="process"), []
    for _ in range(3):
        seen += listed(page)
        if older := [link for link in page.links if "cursor=" in link]:
            page = await operator.see(older[0])
    assert len(seen) == 5
    assert seen == sorted(seen, reverse=True)
    assert not older
    assert "/ops/jobs?kind=process" in page.links
    assert "Nothing is older" in (await operator.see("/ops/jobs", cursor=UUID(int=0))).text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "nothing"),
        ("state", "DEAD"),
        ("tenant_id", "1"),
        ("recording_id", "<script>alert(1)</script>"),
        ("error_code", "x" * 65),
        ("error_code", "'; DROP TABLE job"),
        ("fingerprint", "xyz"),
        ("older_than_s", "soon"),
        ("older_than_s", "nan"),
        ("older_than_s", "-1"),
        ("kind", "null"),
    ],
)
async def test_a_wrong_filter_is_named_and_the_form_keeps_the_rest(
    operator: Visitor, name: str, value: str
) -> None:
    other = {"error_code": "worker_lost"} if name != "error_code" else {"tenant_id": str(uuid4())}
    answer = await operator.client.get("/ops/jobs", params={name: value, **other})
    assert answer.status_code == 400
    page = Sheet(answer.text)
    assert f"{name} must be" in page.text
    ((kept, said),) = other.items()
    assert page.form("/ops/jobs")["fields"][kept] == said
    assert value in unescape(answer.text)
    assert "<script>alert" not in answer.text
    assert "hx-sse:connect" not in answer.text
    assert "/ops/jobs" in page.links


async def test_active_filters_are_said_and_can_be_taken_away_one_by_one(operator: Visitor) -> None:
    page = await operator.see("/ops/jobs", kind="process", state="dead", older_than_s=7200)
    said = page.text.replace("\u00d7", "|")
    assert "of the queue process | that are dead | older than 2.0 h | Clear all" in said
    assert "/ops/jobs?kind=process&state=dead" in page.links
    assert "/ops/jobs?state=dead&older_than_s=7200" in page.links


async def test_what_strangers_wrote_is_text(operator: Visitor, database: Database, hand: Deckhand) -> None:
    (recording,) = await dead(database, hand, failure=hostile())
    there = await job_id(database, recording)
    for path in ("/ops/jobs", f"/ops/jobs/{there}", "/ops/failures", f"/ops/jobs/{there}/discard"):
        page = await operator.see(path)
        assert "<script>alert" not in page.html
    for path in (f"/ops/jobs/{there}", "/ops/failures"):
        assert f"<bdi>ValueError: {HOSTILE}</bdi>" in unescape((await operator.see(path)).html)


async def test_a_job_says_what_the_api_says(
    operator: Visitor, ops: httpx.AsyncClient, database: Database, hand: Deckhand
) -> None:
    for recording in await some_of_each(database, hand):
        there = await job_id(database, recording)
        detail = await get(ops, f"/jobs/{there}")
        page = await operator.see(f"/ops/jobs/{there}")
        job = detail["job"]
        if job["state"] != "running":  # whose lease goes on
            assert detail["why"] in page.text
        for name in ("claims", "attempts", "losses", "outages"):
            assert f"{name.capitalize()} {job[name]}" in page.text
        assert {f"/ops/recordings/{recording}", f"/ops/tenants/{hand.tenant_id}"} <= set(page.links)
        for attempt in detail["attempts"]:
            assert f'id="attempt-{attempt["number"]}"' in page.html
            assert (attempt["error"] or "") in page.text
            if attempt["fingerprint"]:
                link = f"/ops/failures?fingerprint={attempt['fingerprint']}&since_s=2678400"
                assert link in page.links


async def test_a_job_that_is_gone_says_so_and_leads_on(operator: Visitor) -> None:
    nobody = uuid4()
    for path in (f"/ops/jobs/{nobody}", f"/ops/jobs/{nobody}/discard"):
        answer = await operator.client.get(path)
        assert answer.status_code == 404
        page = Sheet(answer.text)
        assert "There is no such job" in page.text
        assert f"/ops/find?q={nobody}" in page.links


async def test_a_job_is_retried_and_discarded_from_its_page(
    operator: Visitor, ops: httpx.AsyncClient, database: Database, hand: Deckhand
) -> None:
    (recording,) = await dead(database, hand)
    there = await job_id(database, recording)
    page = await operator.see(f"/ops/jobs/{there}")
    after = await operator.send(page, f"/ops/jobs/{there}/retry")
    assert "It is due now" in after.html
    assert "It is due now" not in (await operator.see("/ops")).html
    assert await status(database, recording) is Status.PROCESSING
    again = await job_of(database, recording, JobKind.PROCESS)
    assert again
    asked = await operator.see(f"/ops/jobs/{again.id}/discard")
    assert "cannot be undone" in asked.text
    assert f"/ops/recordings/{recording}" in asked.links
    await operator.send(asked, f"/ops/jobs/{again.id}/discard")
    assert await status(database, recording) is Status.FAILED
    said = [(one["what"], one["count"]) for one in (await get(ops, "/audit"))["entries"]]
    assert said == [("discard", 1), ("retry", 1)]


async def test_what_keeps_a_promise_is_not_discarded(
    operator: Visitor, database: Database, hand: Deckhand
) -> None:
    recording = await accepted(database, hand, has_video=True)
    job = await job_of(database, recording, JobKind.VIDEO_DEADLINE)
    assert job
    assert f"/ops/jobs/{job.id}/discard" not in (await operator.see("/ops/jobs")).links
    asked = await operator.see(f"/ops/jobs/{job.id}/discard")
    assert "There is nothing to discard" in asked.text
    assert not [form for form in asked.forms if form["action"].endswith("/discard")]


async def test_the_second_of_two_operators_is_told_how_it_is(
    operator: Visitor, database: Database, hand: Deckhand
) -> None:
    (recording,) = await dead(database, hand)
    there = await job_id(database, recording)
    fields = (await operator.see("/ops/jobs", state="dead")).form(f"/ops/jobs/{there}/retry")["fields"]
    both = await asyncio.gather(
        *(operator.client.post(f"/ops/jobs/{there}/retry", data=fields) for _ in range(2))
    )
    assert sorted(answer.status_code for answer in both) == [303, 409]
    refused = Sheet(max(both, key=lambda answer: answer.status_code).text)
    assert "There is nothing to retry about this job." in refused.text
    assert "Somebody else may have been first" in refused.text
    assert fields["next"] in refused.links


async def test_what_costs_too_much_is_said_beside_the_form(
    operator: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_costly(*_: Any, **__: Any) -> None:
        raise TooCostly

    monkeypatch.setattr("models.filters.listed", too_costly)
    answer = await operator.client.get("/ops/jobs", params={"error_code": "worker_lost"})
    assert answer.status_code == 422
    page = Sheet(answer.text)
    assert "Add a filter" in page.text
    assert page.form("/ops/jobs")["fields"]["error_code"] == "worker_lost"
    assert OPS not in page.links
