"""The page of the audit log: what operators did, with the way to what they did it to."""

from uuid import UUID, uuid4

import pytest

from app.pages.audit import LINES, place_of, told
from models import action
from models.db import Database
from models.ids import new_id
from models.processes import Role
from tests.api.operators import HOSTILE, dead, job_id
from tests.api.pages.visitor import EMAIL, Visitor
from tests.factories import Deckhand, a_process


async def logged(database: Database, count: int, who: str = EMAIL) -> None:
    async with database.transaction() as session:
        for number in range(count):
            action.audit(session, who, "pause", f"queue number{number:03}")


async def test_an_empty_log_says_what_will_be_here(operator: Visitor) -> None:
    assert "No operator has done anything yet" in (await operator.see("/ops/audit")).text


async def test_what_is_done_on_pages_is_there(operator: Visitor, database: Database, hand: Deckhand) -> None:
    (recording_id,) = await dead(database, hand)
    job = await job_id(database, recording_id)
    page = await operator.see(f"/ops/recordings/{recording_id}")
    await operator.send(page, f"/ops/recordings/{recording_id}/retry")
    log = await operator.see("/ops/audit")
    assert f"{EMAIL} retry job" in log.text
    assert f"/ops/jobs/{job}" in log.links
    assert '<td class="n">1</td>' in log.html


async def test_it_is_read_page_by_page(operator: Visitor, database: Database) -> None:
    await logged(database, LINES + 10)
    first = await operator.see("/ops/audit")
    assert "number059" in first.text
    assert "number009" not in first.text
    (path,) = [link for link in first.links if "cursor=" in link]
    second = await operator.see(path)
    assert [f"number{n:03}" in second.text for n in (0, 9, 10)] == [True, True, False]
    assert not [link for link in second.links if "cursor=" in link]
    over = await operator.see("/ops/audit", cursor=UUID(int=0))
    assert "nothing older" in over.text
    assert "/ops/audit" in over.links


async def test_who_and_what_are_only_text(operator: Visitor, database: Database) -> None:
    async with database.transaction() as session:
        action.audit(session, HOSTILE, HOSTILE, f"x {HOSTILE}", 1, reason=HOSTILE, filter={"error": HOSTILE})
    page = await operator.see("/ops/audit")
    assert "<script>alert" not in page.html
    assert "filter.error" in page.text


def test_each_subject_leads_somewhere() -> None:
    id_ = uuid4()
    assert place_of(f"job {id_}") == f"/ops/jobs/{id_}"
    assert place_of(f"action {id_}") == f"/ops/actions/{id_}"
    assert place_of("queue process") == "/ops/jobs?kind=process"
    assert place_of(f"worker {id_}") == "/ops#processes"
    assert place_of("Redis") is None
    assert place_of("job javascript:alert(1)") == "/ops/jobs/javascript:alert(1)"


def test_details_are_readable() -> None:
    details = {"filter": {"state": "dead", "job_ids": ["a", "b"]}, "reason": None, "most": 3}
    assert told(details) == [("filter.state", "dead"), ("filter.job_ids", "a, b"), ("most", "3")]


@pytest.mark.parametrize("cursor", ["x", "1"])
async def test_a_cursor_that_is_none_is_said(operator: Visitor, cursor: str) -> None:
    assert (await operator.client.get("/ops/audit", params={"cursor": cursor})).status_code == 400


async def test_a_drain_leads_to_the_workers(operator: Visitor, database: Database) -> None:
    worker = a_process(Role.WORKER, name="w:1")
    worker.id = new_id()
    async with database.transaction() as session:
        action.audit(session, EMAIL, "drain", f"worker {worker.id}")
    assert "/ops#processes" in (await operator.see("/ops/audit")).links
    assert 'id="processes"' in (await operator.see("/ops")).html
