"""Chromium as a decoder."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import BrowserContext

from tests.browser.tools import chromium


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[BrowserContext]:
    async with chromium() as context:
        yield context
