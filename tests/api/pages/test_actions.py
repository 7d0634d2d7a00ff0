"""`/ops/actions`: what would be touched, the way to begin it, how far it is, and the way to stop it."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from models.action import Action
from models.db import Database
from models.recording import Status
from tests.api.operators import dead, get, job_id
from tests.api.pages.visitor import Sheet, Visitor
from tests.api.test_ops import ops as ops
from tests.api.test_ops_actions import act
from tests.factories import Deckhand
from tests.models.steps import BAD, FAULT, claimed, settle, status
from workers import actions

BEGIN = "/ops/actions"


async def advance(db: Database, times: int = 4) -> None:
    for _ in range(times):
        await actions.advance(db, video_wait_s=60)


async def only(ops: httpx.AsyncClient) -> dict[str, Any]:
    (action,) = (await get(ops, "/actions"))["actions"]
    found: dict[str, Any] = action
    return found


async def test_what_an_action_would_touch_is_what_the_dry_run_says(
    operator: Visitor, ops: httpx.AsyncClient, database: Database, hand: Deckhand
) -> None:
    await dead(database, hand, 12)
    filter_ = {"kind": "process", "state": "dead", "error_code": "no_valid_events"}
    seen = (await act(ops, "retry", filter_, dry_run=True)).json()
    page = await operator.see("/ops/actions/new", verb="retry", **filter_)
    assert f"Retry {seen['matched']} jobs?" in page.text
    assert "Jobs of the queue process , that are dead , with the error code no_valid_events" in page.text
    assert [link for link in page.links if link.startswith("/ops/jobs/")] == [
        f"/ops/jobs/{one}" for one in seen["sample"]
    ]
    assert seen["oldest_at"] in page.html
    assert "It begins with 3 of them" in page.text
    assert (await get(ops, "/actions"))["actions"] == []
    discard = await operator.see("/ops/actions/new", verb="discard", **filter_)
    assert "This cannot be undone" in discard.text
    assert "It begins with" not in discard.text


async def test_all_that_match_are_retried_and_followed_to_the_end(
    operator: Visitor, ops: httpx.AsyncClient, database: Database, hand: Deckhand
) -> None:
    ids = await dead(database, hand, 2)
    other = await dead(database, hand, failure=FAULT)
    listed = await operator.see("/ops/jobs", state="dead", error_code="no_valid_events")
    (ask,) = [link for link in listed.links if link.startswith("/ops/actions/new?verb=retry")]
    page = await operator.send(await operator.see(ask), BEGIN)
    action = await only(ops)
    assert (action["state"], action["matched"]) == ("pending", 2)
    assert action["filter"] == {"state": "dead", "error_code": "no_valid_events"}
    assert "It is about to begin: with the first 3." in page.text
    assert action["who"] in page.text
    await advance(database)
    page = await operator.see(f"/ops/actions/{action['id']}")
    assert "It is done" in page.text
    assert '<progress aria-label="Progress" value="2" max="2">' in page.html
    assert "Done 2 Skipped 0" in page.text
    assert "/ops/jobs?state=dead&error_code=no_valid_events" in page.links
    assert [one for one in page.forms if one["action"].endswith("/stop")] == []
    assert [await status(database, one) for one in ids] == [Status.PROCESSING] * 2
    assert await status(database, other[0]) is not Status.READY
    assert f"/ops/actions/{action['id']}" in (await operator.see("/ops/actions")).links


async def test_a_selection_is_just_that(
    operator: Visitor, ops: httpx.AsyncClient, database: Database, hand: Deckhand
) -> None:
    ids = await dead(database, hand, 3)
    chosen = [str(await job_id(database, one)) for one in ids[:2]]
    asked = await operator.see("/ops/actions/new", verb="discard", job_ids=chosen)
    assert "Jobs that were selected: 2 jobs" in asked.text
    answer = await operator.client.post(
        BEGIN, data={**asked.form(BEGIN)["fields"], "job_ids": chosen}, follow_redirects=True
    )
    assert answer.status_code == 200
    await advance(database)
    assert (await only(ops))["filter"] == {"job_ids": chosen}
    left = (await get(ops, "/jobs", state="dead"))["jobs"]
    assert [job["id"] for job in left] == [str(await job_id(database, ids[2]))]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"verb": "retry"}, "No job is chosen."),
        ({"verb": "discard", "state": "done"}, "must be a state of jobs that are not over"),
        ({"verb": "retry", "tenant_id": "<b>"}, "tenant_id: must be a whole id"),
        ({"verb": "retry", "job_ids": "1"}, "job_ids: must be whole ids"),
        ({"verb": "drop", "state": "dead"}, "verb: must be retry or discard"),
        ({}, "verb: must be retry or discard"),
    ],
)
async def test_what_cannot_be_begun_says_why_and_begins_nothing(
    operator: Visitor, ops: httpx.AsyncClient, given: dict[str, str], said: str
) -> None:
    asked = await operator.client.get("/ops/actions/new", params=given)
    csrf = (await operator.see("/ops")).form("/ops/sign-out")["fields"]["csrf"]
    begun = await operator.client.post(BEGIN, data={**given, "csrf": csrf})
    for answer in (asked, begun):
        assert answer.status_code == 400
        assert said in Sheet(answer.text).text
        assert any(link.startswith("/ops") for link in Sheet(answer.text).links)
    assert (await get(ops, "/actions"))["actions"] == []


async def test_when_nothing_matches_nothing_is_offered(operator: Visitor) -> None:
    page = await operator.see("/ops/actions/new", verb="retry", state="dead")
    assert "none can be retried now" in page.text
    assert [form for form in page.forms if form["action"] == BEGIN] == []
    assert "/ops/jobs?state=dead" in page.links


async def test_the_second_of_two_operators_begins_nothing(
    operator: Visitor, ops: httpx.AsyncClient, database: Database, hand: Deckhand
) -> None:
    await dead(database, hand)
    asked = await operator.see("/ops/actions/new", verb="retry", state="dead")
    await operator.send(asked, BEGIN)
    await advance(database)
    late = await operator.client.post(BEGIN, data=asked.form(BEGIN)["fields"])
    assert late.status_code == 409
    assert "Nothing is left to retry" in Sheet(late.text).text
    assert "/ops/jobs?state=dead" in Sheet(late.text).links
    assert (await only(ops))["done"] == 1


async def test_a_canary_that_fails_again_is_told(
    operator: Visitor, database: Database, hand: Deckhand
) -> None:
    ids = await dead(database, hand, 5)
    page = await operator.see("/ops/actions/new", verb="retry", state="dead")
    await operator.send(page, BEGIN)
    await advance(database, 2)
    (where,) = [link for link in (await operator.see("/ops/actions")).links if "/actions/" in link]
    canary = await operator.see(where)
    assert "The first 3 are done. It waits for what becomes of them" in canary.text
    assert len([link for link in canary.links if link.startswith("/ops/jobs/")]) == 3
    for one in ids[:3]:
        await settle(database, await claimed(database, one), BAD)
    await advance(database, 1)
    assert "It was stopped" in (await operator.see(where)).text
    assert "The first ones failed again." in (await operator.see(where)).text


async def test_an_action_is_stopped_once(
    operator: Visitor, ops: httpx.AsyncClient, database: Database, hand: Deckhand
) -> None:
    await dead(database, hand, 5)
    page = await operator.send(await operator.see("/ops/actions/new", verb="retry", state="dead"), BEGIN)
    stop = f"/ops/actions/{(await only(ops))['id']}/stop"
    stopped = await operator.send(page, stop)
    assert "It was stopped" in stopped.text
    assert (await only(ops))["state"] == "stopped"
    again = await operator.send(page, stop)
    assert "It was stopped" in again.text
    assert (await operator.client.get(f"/ops/actions/{uuid4()}")).status_code == 404


async def test_the_list_is_that_of_the_api_page_by_page(
    operator: Visitor, ops: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Nobody has done anything" in (await operator.see("/ops/actions")).text
    monkeypatch.setattr("app.pages.actions.ROWS", 2)
    async with database.transaction() as session:
        session.add_all(
            Action(who=f"<b>{n}</b>", verb="retry", filter={"tables": "<i>"}, matched=1234 * n, done=n)
            for n in range(3)
        )
    expected = (await get(ops, "/actions"))["actions"]
    page = await operator.see("/ops/actions")
    for one in expected[:2]:
        assert f"/ops/actions/{one['id']}" in page.links
        numbers = f"done {one['done']} skipped {one['skipped']} of {one['matched']:,}"
        assert numbers.replace(",", " ") in page.text
        assert one["who"] in page.text
    assert "<i>" not in page.html
    (older,) = [link for link in page.links if "cursor=" in link]
    last = await operator.see(older)
    assert [link for link in last.links if "/actions/" in link] == [f"/ops/actions/{expected[2]['id']}"]
    assert "tables: <i>" in last.text
