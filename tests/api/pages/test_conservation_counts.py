"""Conservation on pages: its numbers are the ledger's, and many recordings are counted once for all who look."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from app import gatherer
from models import conservation, deletion, lives
from models.conservation import COUNTS, BrokenHour
from models.db import Database
from tests.api.conftest import Process
from tests.api.operators import dead
from tests.api.pages.visitor import Visitor
from tests.factories import Deckhand, accepted

# Written as somebody would who had all the time in the world.
LEDGER = text(
    """
    SELECT (SELECT sum(accepted) FROM accepted_tally)::bigint AS accepted,
           count(*) FILTER (WHERE status = 'ready' AND deleted_at IS NULL) AS ready,
           count(*) FILTER (WHERE status = 'failed' AND deleted_at IS NULL) AS failed,
           count(*) FILTER (WHERE status IN ('uploading', 'processing') AND deleted_at IS NULL) AS in_progress,
           count(*) FILTER (WHERE deleted_at IS NOT NULL) AS deleted, max(created_at) AS at
    FROM recording
    """
)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gatherer, "PATIENCE_S", 60)


async def agrees(operator: Visitor, database: Database) -> None:
    async with database.autocommit() as connection:
        ledger = (await connection.execute(LEDGER)).mappings().one()
    page = await operator.see("/ops/conservation")
    for row in (f"hour-{ledger['at']:%Y-%m-%dT%H}", f"day-{ledger['at']:%Y-%m-%d}"):
        assert [page.told(name, row) for name in COUNTS] == [str(ledger[name]) for name in COUNTS]
        assert page.told("missing", row) == "0"


async def test_its_numbers_are_those_of_the_ledger(
    operator: Visitor, database: Database, hand: Deckhand, process_it: Process
) -> None:
    await process_it(await accepted(database, hand))
    await dead(database, hand, 2)
    for _ in range(3):
        last = await accepted(database, hand)
    await agrees(operator, database)
    await deletion.delete_recording(database, hand.tenant_id, last)
    await agrees(operator, database)


async def test_of_more_hours_and_fewer_all_are_there(operator: Visitor, database: Database) -> None:
    old = "INSERT INTO accepted_tally SELECT date_trunc('hour', now() - interval '{} h', 'UTC'), uuidv7(), 0, {}"
    async with database.transaction() as session:
        for hours in (23, 24, 71, 72, 167, 168):
            await session.execute(text(old.format(hours, hours)))
    for hours, expected in ((24, [23]), (72, [23, 24, 71]), (168, [23, 24, 71, 72, 167])):
        page = await operator.see("/ops/conservation", hours=hours)
        by_hour = page.html.partition('id="hours"')[2].partition('id="days"')[0]
        assert by_hour.count('data-is="accepted"') == len(expected)
        assert all(f"<b>{count}</b>" in by_hour for count in expected)


async def test_many_recordings_are_counted_once_for_all_who_look(
    operator: Visitor, database: Database, hand: Deckhand, monkeypatch: pytest.MonkeyPatch
) -> None:
    await accepted(database, hand)
    places = (("/ops", "conservation"), ("/ops/conservation", f"day-{datetime.now(UTC):%Y-%m-%d}"))
    for path, _ in places:
        await operator.see(path)
    monkeypatch.setattr(gatherer, "FEW", 0)
    monkeypatch.setattr(gatherer, "EVERY_S", 3600)
    for path, row in places:
        first = (await operator.see(path)).told("accepted", row)
        await accepted(database, hand)
        assert (await operator.see(path)).told("accepted", row) == first
    async with database.transaction() as session:
        session.add(BrokenHour(hour=datetime(2026, 5, 4, 10, tzinfo=UTC), missing=1, recordings=[]))
    assert (await operator.see("/ops/conservation")).text.startswith("1 recording is nowhere")  # at once


async def test_after_a_while_they_are_counted_anew(
    operator: Visitor, database: Database, hand: Deckhand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gatherer, "FEW", 0)
    monkeypatch.setattr(gatherer, "EVERY_S", 0)
    monkeypatch.setattr(gatherer, "SHARE", 0)
    await accepted(database, hand)
    assert (await operator.see("/ops")).told("accepted", "conservation") == "1 accepted"
    await accepted(database, hand)
    while (await operator.see("/ops")).told("accepted", "conservation") != "2 accepted":
        pass


async def test_what_cannot_be_counted_in_time_says_so(
    operator: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        conservation, "_SUMS", lives.text("SELECT pg_sleep(60) WHERE CAST(:since AS timestamptz) < :until")
    )
    monkeypatch.setattr(lives.bounded.__wrapped__, "__defaults__", (1.0,))
    answer = await operator.client.get("/ops/conservation")
    assert answer.status_code == 422
    assert "fewer days" in answer.text
    assert "could not be counted in time" in (await operator.see("/ops")).text
