"""One Chromium for all tests of this folder that need no extension, and who uses it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext

from models.db import Database
from tests.api.pages.visitor import make_operator
from tests.api.tenants import new_tenant
from tests.browser.room import Room, room
from tests.browser.stage import Stage, stage
from tests.browser.tools import chromium, chromiums, npm
from tests.conftest import DECKS
from tests.deck import Deck
from tests.factories import Deckhand
from tests.servers import Addresses, clone


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[BrowserContext]:
    async with chromium() as context:
        yield context


@pytest.fixture
async def hand(database: Database) -> Deckhand:
    """A tenant and its keys."""
    return await new_tenant(database)


@pytest.fixture
async def operator(
    deck: Deck, database: Database, hand: Deckhand, browser: BrowserContext
) -> AsyncIterator[Room]:
    """Somebody who has signed in to the control room of `deck`."""
    await make_operator(database, hand)
    async with room(browser, deck.url) as entered:
        yield entered


@pytest.fixture(scope="session")
def player_modules() -> Path:
    """`node_modules` with rrweb's player."""
    return npm("rrweb@2.2.2")


@pytest.fixture(scope="module")
async def _night(
    request: pytest.FixtureRequest, servers: Addresses, _worker: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    """One deck for all tests of a module: each leaves it well."""
    url = clone(servers, f"night_{_worker}_{request.node.path.stem}")
    async with chromiums() as browser, stage(url, tmp_path_factory.mktemp("deck"), browser) as set_up:
        yield set_up


@pytest.fixture
def night(request: pytest.FixtureRequest, _night: Stage) -> Stage:
    """A deck to break. What it said is shown when the test fails."""
    request.node.stash[DECKS] = [_night.deck]
    return _night
