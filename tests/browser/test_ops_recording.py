"""Pages of a recording, tenants, the audit log and conservation in Chromium: live, accessible, narrow and dark."""

from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import expect
from sqlalchemy import text

from models import action, deletion
from models.conservation import BrokenHour
from models.db import Database
from tests.api.operators import HOSTILE
from tests.browser.room import Room
from tests.factories import Deckhand, accepted, events, upload

pytestmark = pytest.mark.timeout(300)  # a browser and a deck start before each

WIDE, PHONE = {"width": 1360, "height": 900}, {"width": 390, "height": 844}
NAME = (HOSTILE + "W" * 500)[:500]


@pytest.fixture
async def ready(operator: Room, database: Database, hand: Deckhand) -> UUID:
    """A recording that the deck's workers made ready: some events were twice there, some are none."""
    made = events(12)
    body = upload([*made, *made[:2], {"type": 99}, "nothing"])
    recording_id = await accepted(database, hand, body, name=NAME)
    await operator.go(f"/ops/recordings/{recording_id}")
    await expect(operator.page.locator("#events")).to_contain_text("received", timeout=60_000)
    return recording_id


@pytest.fixture
async def paths(ready: UUID, database: Database, hand: Deckhand) -> list[str]:
    """All pages, each with something hostile."""
    failed = await accepted(database, hand, upload([{"no": "event"}]), name=NAME)
    async with database.transaction() as session:
        await session.execute(text("UPDATE tenant SET name = :name"), {"name": NAME})
        action.audit(session, NAME, "retry begun", f"action {ready}", 3, filter={"error": NAME})
        session.add(
            BrokenHour(
                hour=(await session.execute(text("SELECT now()"))).scalar_one(), missing=1, recordings=[ready]
            )
        )
    tenant = f"/ops/tenants/{hand.tenant_id}"
    return [
        f"/ops/recordings/{ready}",
        f"/ops/recordings/{failed}",
        tenant,
        "/ops/tenants",
        "/ops/audit",
        "/ops/conservation",
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
async def test_they_are_accessible_and_nothing_sticks_out(
    operator: Room, paths: list[str], scheme: Any, size: Any
) -> None:
    page = operator.page
    await page.set_viewport_size(size)
    await page.emulate_media(color_scheme=scheme)
    for path in paths:
        await operator.go(path)
        await operator.is_live()
        assert await operator.violations() == [], path
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    await page.emulate_media(color_scheme="light")


async def test_one_that_is_deleted_while_it_is_looked_at_says_so(
    operator: Room, ready: UUID, database: Database, hand: Deckhand
) -> None:
    page = operator.page
    await operator.is_live()
    await expect(page.get_by_role("img", name="Timeline of this recording")).to_be_visible()
    await deletion.delete_recording(database, hand.tenant_id, ready)
    await expect(
        page.get_by_text("Nobody can read it any more").or_(page.get_by_text("This recording was purged"))
    ).to_be_visible()
    await expect(page.get_by_role("heading", name="This recording was purged")).to_be_visible(timeout=90_000)
    await operator.is_live()


async def test_one_that_failed_is_retried_by_a_click_and_its_life_goes_on(
    operator: Room, database: Database, hand: Deckhand
) -> None:
    page = operator.page
    failed = await accepted(database, hand, upload([{"no": "event"}]))
    await operator.go(f"/ops/recordings/{failed}")
    await expect(page.get_by_role("heading", name="It failed")).to_be_visible(timeout=60_000)
    attempts = page.locator(".life .bar.bad_input")
    await expect(attempts).to_have_count(1)
    await page.get_by_role("button", name="Retry process").click()
    await expect(page.locator("#notices")).to_contain_text("It is tried again now")
    await expect(attempts).to_have_count(2, timeout=60_000)


async def test_the_table_stays_as_it_was_opened_while_the_page_changes(
    operator: Room, ready: UUID, database: Database
) -> None:
    page = operator.page
    table = page.locator("details")
    before = await table.get_attribute("open")
    await page.locator("summary").click()
    async with database.transaction() as session:
        await session.execute(
            text("UPDATE recording SET name = 'Another name' WHERE id = :id"), {"id": ready}
        )
    await expect(page.get_by_role("heading", name="Another name")).to_be_visible()
    assert (await table.get_attribute("open") is None) != (before is None)


async def test_conservation_has_a_chart_that_stays(
    operator: Room, database: Database, hand: Deckhand
) -> None:
    page = operator.page
    await accepted(database, hand)
    await operator.go("/ops/conservation")
    chart = page.locator("#chart canvas")
    await expect(chart).to_be_visible()
    for _ in range(3):
        await accepted(database, hand)
    await expect(page.locator("#hours td[data-is=accepted]")).to_have_text("4")
    await expect(chart).to_have_count(1)


async def test_a_tenant_is_found_by_its_name(operator: Room, database: Database, hand: Deckhand) -> None:
    page = operator.page
    async with database.transaction() as session:
        await session.execute(
            text("UPDATE tenant SET name = 'Needle & Co' WHERE id = :id"), {"id": hand.tenant_id}
        )
    await operator.go("/ops/tenants")
    await page.get_by_placeholder("Name or id").fill("needle")
    await page.get_by_role("button", name="Search").click()
    await page.get_by_role("link", name="Needle & Co").click()
    await expect(page.get_by_role("heading", name="Needle & Co")).to_be_visible()
    await expect(page.locator("#queue-process")).to_be_visible()
