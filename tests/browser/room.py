"""An operator's browser: signed in to a deck, and unforgiving about what the console says."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product

from playwright.async_api import BrowserContext, ConsoleMessage, Locator, Page, ViewportSize, expect

from tests.api.pages.visitor import EMAIL, PASSWORD
from tests.browser.tools import npm

LIVE = "#live[data-is=live]"
SOON_MS = 60_000
SIZES: dict[str, ViewportSize] = {
    "wide": {"width": 1360, "height": 900},
    "narrow": {"width": 390, "height": 844},
}


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
        await self.enter()
        await self.is_live()

    async def enter(self) -> None:
        """Fill in the sign-in form, and send it."""
        await self.page.get_by_label("Email").fill(EMAIL)
        await self.page.get_by_label("Password").fill(PASSWORD)
        await self.page.get_by_role("button", name="Sign in").click()

    async def go(self, path: str) -> None:
        await self.page.goto(self.url + path)

    async def is_live(self) -> None:
        await expect(self.page.locator(LIVE)).to_be_visible(timeout=20_000)

    @property
    def verdict(self) -> Locator:
        """What is on top of the overview."""
        return self.page.get_by_role("region", name="Verdict")

    async def reads(self, told: str) -> None:
        """The verdict says it, by itself."""
        await expect(self.verdict).to_contain_text(told, timeout=SOON_MS)

    async def follows(self, advice: str) -> None:
        """Click what the verdict says to do."""
        await self.verdict.get_by_role("link", name=advice).click()

    async def to_overview(self) -> None:
        await self.page.get_by_role("link", name="Overview").click()
        await self.is_live()

    @asynccontextmanager
    async def without_reload(self) -> AsyncIterator[None]:
        """Whatever is seen within is seen on the page that is open already, and it is well in the end."""
        await self.page.evaluate("document.stayed = true")
        yield
        await self.reads("All is well")
        await self.is_live()
        assert await self.page.evaluate("document.stayed")

    async def violations(self) -> list[str]:
        """What axe complains about: rules of WCAG, and where they are broken. Skips without npm."""
        axe = npm("axe-core@4.14.1") / "axe-core" / "axe.min.js"
        await self.page.evaluate(axe.read_text())  # past the page's policy, which lets no script in
        found = await self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{one['id']}: {[node['html'][:200] for node in one['nodes']]}" for one in found["violations"]
        ]

    async def picture(self, name: str) -> None:
        """Of the page, wide and narrow, light and dark, into the folder TAPEDECK_PICTURES, if that is set."""
        if (folder := os.environ.get("TAPEDECK_PICTURES")) is None:
            return
        for scheme, size in product(("light", "dark"), SIZES):
            await self.page.emulate_media(color_scheme=scheme)
            await self.page.set_viewport_size(SIZES[size])
            await self.page.screenshot(path=f"{folder}/{name}-{size}-{scheme}.png", full_page=True)
        await self.page.set_viewport_size(SIZES["wide"])

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)


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
