"""An operator's browser: signed in to a deck, and unforgiving about what the console says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import BrowserContext, ConsoleMessage, Page, expect

from models import administration
from models.db import Database
from models.tenancy import Scope
from tests.api.pages.visitor import EMAIL, HASH, PASSWORD

LIVE = "#live[data-is=live]"


class Room:
    """A tab in the control room. `complaints` are errors of the console: of scripts, and of the page's own policy."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def sign_in(self) -> None:
        """From the start page, as somebody would."""
        await self.page.goto(self.url)
        await self.page.get_by_role("link", name="Sign in").click()
        await self.page.get_by_label("Email").fill(EMAIL)
        await self.page.get_by_label("Password").fill(PASSWORD)
        await self.page.get_by_role("button", name="Sign in").click()
        await self.is_live()

    async def go(self, path: str) -> None:
        await self.page.goto(self.url + path)

    async def is_live(self) -> None:
        await expect(self.page.locator(LIVE)).to_be_visible(timeout=20_000)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)


async def make_operator(db: Database, project_id: Any, email: str = EMAIL) -> None:
    """A user who operates the deck."""
    await administration.create_user(
        db, email=email, project_id=project_id, scopes=(Scope.OPERATE,), password_hash=HASH
    )


@asynccontextmanager
async def room(browser: BrowserContext, url: str) -> AsyncIterator[Room]:
    """A tab of an operator who has signed in. Afterwards nobody is, and nothing may have been complained about."""
    page = await browser.new_page()
    entered = Room(page, url)
    try:
        await entered.sign_in()
        yield entered
        assert not entered.complaints
    finally:
        await page.close()
        await browser.clear_cookies()
