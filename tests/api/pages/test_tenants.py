"""The pages of tenants: every number is the API's; ten thousand of them, and names that strangers chose."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.pages.environment import count, size
from app.pages.tenants import ROWS
from models.db import Database
from models.tenancy import Scope
from tests.api.conftest import Process
from tests.api.operators import dead, get
from tests.api.pages.visitor import Sheet, Visitor
from tests.api.served import Served
from tests.api.tenants import new_key, new_tenant
from tests.factories import Deckhand, accepted
from tests.models.steps import claimed

MANY = 10_000


async def told(web: Served, database: Database, hand: Deckhand, path: str, **params: Any) -> dict[str, Any]:
    async with web.client(await new_key(database, hand, Scope.OPERATE)) as client:
        return await get(client, path, **params)


async def named(database: Database, name: str, many: int = 1) -> None:
    """Tenants: `name` 1, `name` 2, …"""
    async with database.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO tenant (id, name) SELECT gen_random_uuid(), CAST(:name AS text) || ' ' || lpad(n::text, 5, '0') "
                "FROM generate_series(1, :many) AS n"
            ),
            {"name": name, "many": many},
        )


def rows(page: Sheet) -> list[str]:
    return [link for link in page.links if link.startswith("/ops/tenants/")]


@pytest.fixture
async def busy(database: Database, hand: Deckhand, process_it: Process) -> Deckhand:
    """A tenant with something of everything."""
    await process_it(await accepted(database, hand))
    await dead(database, hand, 2)
    await claimed(database, await accepted(database, hand))
    for _ in range(3):
        await accepted(database, hand)
    return hand


async def test_the_numbers_of_the_list_are_the_apis(
    operator: Visitor, web: Served, database: Database, busy: Deckhand
) -> None:
    page = await operator.see("/ops/tenants")
    (api,) = (await told(web, database, busy, "/tenants"))["tenants"]
    row = f"tenant-{busy.tenant_id}"
    assert page.told("today", row) == count(api["accepted_today"]) == "7"
    assert page.told("30 days", row) == count(api["accepted_30_days"])
    for what in ("due", "dead", "failed"):
        assert page.told(what, row) == count(api[what]["count"]), what
    assert page.told("running", row) == count(api["running"]) == "1"
    assert page.told("pending", row) == size(api["pending_bytes"]["count"]).replace("\u2009", " ")
    assert f"/ops/jobs?tenant_id={busy.tenant_id}&state=dead" in page.links


async def test_the_numbers_of_one_are_the_apis(
    operator: Visitor, web: Served, database: Database, busy: Deckhand
) -> None:
    page = await operator.see(f"/ops/tenants/{busy.tenant_id}")
    api = await told(web, database, busy, f"/tenants/{busy.tenant_id}")
    for queue in api["queues"]:
        row = f"queue-{queue['kind']}"
        assert page.told("due", row) == count(queue["due"]["count"])
        assert page.told("running", row) == count(queue["running"])
        assert page.told("dead", row) == count(queue["dead"]["count"])
        assert page.told("at most", row) == (count(queue["running_max"]) if queue["running_max"] else "any")
    for status in ("ready", "processing", "uploading", "failed"):
        assert page.told(status, "recordings") == count(api["recordings"][status]), status
    for project in api["projects"]:
        assert project["name"] in page.text
    assert f"/ops/jobs?tenant_id={busy.tenant_id}&kind=process&state=dead" in page.links


async def test_ten_thousand_are_read_page_by_page(operator: Visitor, database: Database) -> None:
    await named(database, "Many", MANY)
    seen: list[str] = []
    path = "/ops/tenants"
    for _ in range(3):
        page = await operator.see(path)
        assert len(rows(page)) == ROWS
        seen += rows(page)
        (path,) = [link for link in page.links if "cursor=" in link]
    assert len(set(seen)) == 3 * ROWS
    found = await operator.see("/ops/tenants", q="many 09999")
    assert len(rows(found)) == 1
    assert "Many 09999" in found.text


async def test_the_last_page_leads_back_to_the_first(operator: Visitor, database: Database) -> None:
    await named(database, "Few", ROWS)
    first = await operator.see("/ops/tenants")  # one more is the operator's own
    (path,) = [link for link in first.links if "cursor=" in link]
    last = await operator.see(path)
    assert len(rows(last)) == 1
    assert not [link for link in last.links if "cursor=" in link]
    assert "/ops/tenants" in last.links


async def test_whose_work_waits_longest_comes_first(
    operator: Visitor, database: Database, hand: Deckhand
) -> None:
    await named(database, "Idle", 3)
    other = await new_tenant(database)
    await accepted(database, other)
    await accepted(database, hand)
    async with database.transaction() as session:
        longer = "UPDATE job SET due_at = due_at - interval '1 h' WHERE tenant_id = :id"
        await session.execute(text(longer), {"id": hand.tenant_id})
    page = await operator.see("/ops/tenants", sort="backlog")
    assert rows(page) == [f"/ops/tenants/{one.tenant_id}" for one in (hand, other)]


async def test_nothing_due_is_said_to_be_good(operator: Visitor) -> None:
    assert "Nothing is due for anybody" in (await operator.see("/ops/tenants", sort="backlog")).text


async def test_names_are_only_text(operator: Visitor, database: Database) -> None:
    name = "<img src=x onerror=alert(1)> \u202e\u2067 " + "W" * 400
    await named(database, name)
    page = await operator.see("/ops/tenants", q="onerror")
    assert "<img" not in page.html.partition("<main")[2]
    one = await operator.see(rows(page)[0])
    assert "&lt;img src=x onerror=alert(1)&gt;" in one.html


@pytest.mark.parametrize("q", ['"><script>alert(1)</script>', "%", "_", "\\", "W" * 5000, "\x00", "  "])
async def test_whatever_is_searched_for_is_only_text(operator: Visitor, q: str) -> None:
    page = await operator.see("/ops/tenants", q=q)
    assert "<script>alert" not in page.html
    assert rows(page) if not q.strip("\x00 ") else "No tenant is named like that" in page.text


@pytest.mark.parametrize("asked", [{"sort": "x"}, {"cursor": "x"}])
async def test_what_cannot_be_asked_for_is_said(operator: Visitor, asked: dict[str, str]) -> None:
    answer = await operator.client.get("/ops/tenants", params=asked)
    assert answer.status_code == 400
    assert "Change what is named here" in Sheet(answer.text).text


async def test_a_tenant_that_never_was_says_where_to_go(operator: Visitor) -> None:
    answer = await operator.client.get(f"/ops/tenants/{uuid4()}")
    assert answer.status_code == 404
    assert "/ops" in Sheet(answer.text).links
