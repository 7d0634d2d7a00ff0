"""Jobs, failures and actions as an operator uses them in Chromium: found from what failed, mended by clicking."""

from uuid import UUID

import pytest
from playwright.async_api import Page, expect

from models.db import Database
from models.recording import Status
from tests.api.operators import dead, hostile, job_id
from tests.browser.room import Room
from tests.factories import Deckhand
from tests.models.steps import status

pytestmark = pytest.mark.timeout(240)  # a browser and a deck start before each


@pytest.fixture
async def poisoned(database: Database, hand: Deckhand) -> list[UUID]:
    """Recordings whose job died of what a worker would do without trouble now."""
    return await dead(database, hand, 5)


async def test_what_a_poison_left_is_found_from_the_failures_and_retried_to_the_end(
    poisoned: list[UUID], operator: Room, database: Database
) -> None:
    page = operator.page
    await page.get_by_role("link", name="Failures", exact=True).click()
    group = page.locator(".group").filter(has_text="no_valid_events")
    await expect(group).to_contain_text("5")
    await group.get_by_role("link", name="Dead jobs").click()
    await expect(page.locator("tbody tr")).to_have_count(5)
    await operator.is_live()

    await page.get_by_role("link", name="Retry all that match").click()
    dialog = page.get_by_role("dialog", name="Retry 5 jobs?")
    await expect(dialog).to_contain_text("It begins with 3 of them, and stops if those fail again")
    await dialog.get_by_role("link", name="Leave them").click()
    await expect(dialog).to_be_hidden()
    await page.get_by_role("link", name="Retry all that match").click()
    await dialog.get_by_role("button", name="Retry 5 jobs").click()

    await page.wait_for_url("**/ops/actions/*")
    await expect(page.locator("#notices")).to_contain_text("It has begun.")
    await expect(page.locator("main")).to_contain_text("It is done", timeout=60_000)
    await expect(page.locator("progress")).to_have_attribute("value", "5")
    assert [await status(database, one) for one in poisoned] == [Status.READY] * 5


async def test_a_selection_focus_and_open_details_stay_while_the_list_goes_on(
    poisoned: list[UUID], operator: Room, database: Database, hand: Deckhand
) -> None:
    page = operator.page
    await operator.go("/ops/jobs?state=dead")
    await operator.is_live()
    first, second = [str(await job_id(database, one)) for one in poisoned[:2]]
    box = page.locator(f"#job-{first} input[type=checkbox]")
    await box.check()
    await page.get_by_text("More: by error code, fingerprint").click()
    await page.get_by_label("Fingerprint").fill("0123")
    await page.locator(f"#job-{second} input[type=checkbox]").check()
    (newer,) = await dead(database, hand)
    await expect(page.locator(f"#job-{await job_id(database, newer)}")).to_be_visible()
    await expect(box).to_be_checked()
    await expect(page.locator(f"#job-{second} input[type=checkbox]")).to_be_focused()
    await expect(page.locator("tbody input:checked")).to_have_count(2)
    await expect(page.locator("#chosen-count")).to_have_text("2 selected:")
    await expect(page.get_by_label("Fingerprint")).to_have_value("0123")

    await page.get_by_role("button", name="Discard these").click()
    dialog = page.get_by_role("dialog", name="Discard 2 jobs?")
    await expect(dialog).to_contain_text("This cannot be undone")
    await dialog.get_by_role("button", name="Discard 2 jobs").click()
    await page.wait_for_url("**/ops/actions/*")
    await expect(page.locator("main")).to_contain_text("It is done", timeout=60_000)
    await operator.go("/ops/jobs?state=dead")
    await expect(page.locator("tbody tr")).to_have_count(4)
    await page.locator("[data-all]").check()
    await expect(page.locator("#chosen-count")).to_have_text("4 selected:")


async def test_one_job_is_retried_from_its_page_and_leaves_the_list_by_itself(
    poisoned: list[UUID], operator: Room, database: Database
) -> None:
    page = operator.page
    await operator.go("/ops/jobs?state=dead")
    await operator.is_live()
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("k")
    await page.keyboard.press("Enter")
    newest = await job_id(database, poisoned[-1])
    await page.wait_for_url(f"**/ops/jobs/{newest}")
    await expect(page.locator(".why")).to_contain_text("It died of no_valid_events")
    await page.get_by_role("button", name="Retry now").click()
    await expect(page.locator("#notices")).to_contain_text("It is due now")
    await operator.go("/ops/jobs?state=dead")
    await expect(page.locator("tbody tr")).to_have_count(4)
    fourth = await job_id(database, poisoned[3])
    await page.locator(f"#job-{fourth}").get_by_role("button", name="Retry").click()
    await expect(page.locator(f"#job-{fourth}")).to_have_count(0)


async def test_what_went_wrong_is_said_in_the_dialog(
    poisoned: list[UUID], operator: Room, database: Database
) -> None:
    page = operator.page
    there = await job_id(database, poisoned[0])
    await operator.go("/ops/jobs?state=dead")
    await page.locator(f"#job-{there}").get_by_role("link", name="Discard").click()
    dialog = page.get_by_role("dialog", name="Discard this process job?")
    await expect(dialog).to_be_visible()
    async with database.autocommit() as connection:
        await connection.exec_driver_sql(f"UPDATE job SET kind = 'purge' WHERE id = '{there}'")
    operator.complaints.clear()
    await dialog.get_by_role("button", name="Discard it").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("There is nothing to discard about this job.")
    operator.complaints.clear()  # Chromium complains of every 409


async def test_the_pages_are_accessible_and_fit_light_and_wide_dark_and_narrow(
    poisoned: list[UUID], operator: Room, database: Database, hand: Deckhand
) -> None:
    await dead(database, hand, failure=hostile())
    page = operator.page
    there = await job_id(database, poisoned[0])
    for scheme, width in (("light", 1360), ("dark", 390)):
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        await page.set_viewport_size({"width": width, "height": 844})
        for path in (
            "/ops/jobs",
            "/ops/jobs?state=dead&older_than_s=0&fingerprint=0123456789abcdef",
            "/ops/jobs?kind=nothing&tenant_id=1",
            f"/ops/jobs/{there}",
            f"/ops/jobs/{there}/discard",
            f"/ops/jobs/{UUID(int=1)}",
            "/ops/failures",
            "/ops/failures?kind=purge",
            "/ops/actions",
            "/ops/actions/new?verb=retry&state=dead",
            "/ops/find?q=nothing",
        ):
            await operator.go(path)
            assert await _too_wide(page) <= 0, (path, width)
            assert await operator.violations() == [], (path, width, scheme)
    operator.complaints.clear()  # Chromium complains of every 400 and 404


async def _too_wide(page: Page) -> int:
    """By how much the page scrolls sideways."""
    found: int = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return found
