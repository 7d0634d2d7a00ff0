"""One Chromium for all tests of this folder that need no extension."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext

from tests.browser.tools import chromium, npm


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[BrowserContext]:
    async with chromium() as context:
        yield context


@pytest.fixture(scope="session")
def player_modules() -> Path:
    """`node_modules` with rrweb's player."""
    return npm("rrweb@2.2.2")
