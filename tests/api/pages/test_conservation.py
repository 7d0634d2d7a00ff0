"""The page of conservation: its sums are the API's, and what is nowhere is named."""

import json
from datetime import UTC, datetime, timedelta
from html import unescape
from uuid import UUID, uuid4

from app.ops_documents import HourDocument
from app.pages.chart import bars_of
from models import deletion
from models.conservation import BrokenHour
from models.db import Database
from models.tenancy import Scope
from tests.api.conftest import Process
from tests.api.operators import dead, get
from tests.api.pages.visitor import Visitor
from tests.api.served import Served
from tests.api.tenants import new_key
from tests.factories import Deckhand, accepted

COUNTS = ("accepted", "ready", "failed", "in_progress", "deleted", "missing")


async def broken(database: Database, missing: int, *recordings: UUID) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    async with database.transaction() as session:
        session.add(BrokenHour(hour=hour, missing=missing, recordings=list(recordings)))


async def test_its_sums_are_the_apis(
    operator: Visitor, web: Served, database: Database, hand: Deckhand, process_it: Process
) -> None:
    ids = [await accepted(database, hand) for _ in range(5)]
    for id_ in ids[:3]:
        await process_it(id_)
    await deletion.delete_recording(database, hand.tenant_id, ids[0])
    await dead(database, hand, 2)
    page = await operator.see("/ops/conservation")
    async with web.client(await new_key(database, hand, Scope.OPERATE)) as client:
        api = await get(client, "/conservation")
    assert [api["hours"][0][name] for name in COUNTS] == [7, 2, 2, 2, 1, 0]
    for what, rows in (("hour", api["hours"]), ("day", api["days"])):
        for row in rows:
            for name in COUNTS:
                assert page.told(name, f"{what}-{row[what][:13]}") == str(row[name])
    assert "every recording that was accepted is somewhere" in page.text
    chart = json.loads(unescape(page.html.partition('data-chart="')[2].partition('"')[0]))
    assert len(chart["x"]) == 24
    assert [one["values"][-1] for one in chart["series"]] == [7, 2, 2]


async def test_an_empty_deck_says_so(operator: Visitor) -> None:
    page = await operator.see("/ops/conservation")
    assert "Nothing was accepted in the last 24 hours" in page.text
    assert "data-chart" not in page.html


async def test_what_is_nowhere_is_named_and_linked(operator: Visitor, database: Database) -> None:
    lost = uuid4()
    await broken(database, 2, lost)
    page = await operator.see("/ops/conservation")
    assert "2 recordings are nowhere" in page.text
    assert "restore what you need" in page.text
    assert f"/ops/jobs?recording_id={lost}&state=done" in page.links


async def test_what_was_never_accepted_is_named_and_linked(
    operator: Visitor, database: Database, hand: Deckhand
) -> None:
    strange = await accepted(database, hand)
    await broken(database, -1, strange)
    page = await operator.see("/ops/conservation")
    assert "never accepted" in page.text
    assert f"/ops/recordings/{strange}" in page.links


async def test_more_hours_are_a_link_away(operator: Visitor) -> None:
    page = await operator.see("/ops/conservation", hours=72)
    assert "last 72 hours" in page.text
    assert "/ops/conservation?hours=168" in page.links
    assert (await operator.client.get("/ops/conservation?hours=1000")).status_code == 400


def test_hours_with_nothing_are_bars_of_nothing() -> None:
    now = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)
    found = json.loads(bars_of([HourDocument("2026-05-04T09:00:00Z", 5, 4, 1, 0, 0, 0)], now, 3))
    assert found["x"] == [int(now.replace(minute=0).timestamp()) - back * 3600 for back in (2, 1, 0)]
    assert [one["values"] for one in found["series"]] == [
        [None, 5, None],
        [None, None, None],
        [None, 1, None],
    ]
