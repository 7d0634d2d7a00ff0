"""The control room as an operator uses it, in Chromium."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import BrowserContext, expect

from models.db import Database
from tests.api.tenants import new_tenant
from tests.browser.room import Room, make_operator, room
from tests.deck import Deck
from tests.factories import Deckhand

pytestmark = pytest.mark.timeout(240)  # a browser and a deck start before each


@pytest.fixture
async def hand(database: Database) -> Deckhand:
    return await new_tenant(database)


@pytest.fixture
async def operator(
    deck: Deck, database: Database, hand: Deckhand, browser: BrowserContext
) -> AsyncIterator[Room]:
    await make_operator(database, hand.api_key.project_id)
    async with room(browser, deck.url) as entered:
        yield entered


async def test_a_queue_is_paused_and_resumed_by_a_click(operator: Room) -> None:
    page = operator.page
    queue = page.locator("#queue-purge")
    await queue.get_by_role("button", name="Pause").click()
    await expect(queue).to_contain_text("by ops@example.com")
    await expect(page.locator("#notices")).to_contain_text("purge is paused")
    await queue.get_by_role("button", name="Resume").click()
    await expect(queue).not_to_contain_text("paused")
    await operator.is_live()
