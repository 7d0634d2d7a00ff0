"""The control room as an operator uses it, in Chromium."""

import pytest
from playwright.async_api import expect

from tests.browser.room import Room

pytestmark = pytest.mark.timeout(240)  # a browser and a deck start before each


async def test_a_queue_is_paused_and_resumed_by_a_click(operator: Room) -> None:
    page = operator.page
    queue = page.locator("#queue-purge")
    await queue.get_by_role("button", name="Pause").click()
    await expect(queue).to_contain_text("by ops@example.com")
    await expect(page.locator("#notices")).to_contain_text("purge is paused")
    await queue.get_by_role("button", name="Resume").click()
    await expect(queue).not_to_contain_text("paused")
    await operator.is_live()
