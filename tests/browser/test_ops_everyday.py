"""The control room as it is used every day, in Chromium: sessions that end, connections that drop, keys, no JavaScript, no mouse."""

from typing import Any, Literal

import pytest
from playwright.async_api import Page, expect

from tests.browser.room import SIZES, SOON_MS, Room
from tests.browser.stage import Stage

pytestmark = pytest.mark.timeout(240)  # a browser and a deck start before the first

FIRST_PAINT_BYTES = 100_000
NEWEST_SESSION = (
    "DELETE FROM sign_in_session WHERE created_at = (SELECT max(created_at) FROM sign_in_session)"
)
DONE = "/ops/jobs?kind=process&state=done"


async def test_a_session_that_ends_is_told_and_signing_in_leads_back(night: Stage) -> None:
    async with night.operator(signed_in=False) as operator:
        page = operator.page
        await operator.sign_in()
        await operator.go(DONE)
        await operator.is_live()
        await night.sql(NEWEST_SESSION)
        await expect(page.locator("#notices")).to_contain_text("What you see is how things were")
        await expect(page.locator("#live")).to_have_text("Signed out")
        await page.get_by_role("link", name="Sign in again").click()
        await expect(page.locator("main")).to_contain_text("Your session has ended.")
        await operator.enter()
        await page.wait_for_url(f"**{DONE}")
        await operator.is_live()


async def test_a_form_of_a_session_that_has_ended_does_nothing(night: Stage) -> None:
    async with night.operator(signed_in=False) as operator:
        page = operator.page
        await operator.sign_in()
        await night.sql(NEWEST_SESSION)
        await page.locator("#queue-purge").get_by_role("button", name="Pause").click()
        await page.wait_for_url("**/sign-in?*")
        await operator.enter()
        await page.wait_for_url("**/ops")
        await expect(page.locator("#queue-purge").get_by_role("button", name="Pause")).to_be_visible()


async def test_a_page_whose_connection_drops_says_so_and_is_live_again(night: Stage) -> None:
    async with night.operator() as operator:
        async with operator.without_reload():
            night.deck.kill("web")
            await expect(operator.page.locator("#live")).to_have_text("Not live: trying again")
            await operator.picture("not-live")
            await night.deck.start("web")
            await operator.is_live()
            await night.are_ready(await night.send())
        operator.complaints.clear()  # Chromium complains of what it could not load


async def test_a_page_that_comes_back_without_a_session_is_told(night: Stage) -> None:
    async with night.operator(signed_in=False) as operator:
        await operator.sign_in()
        night.deck.kill("web")
        await night.sql(NEWEST_SESSION)
        await night.deck.start("web")
        await expect(operator.page.locator("#notices")).to_contain_text("Your session has ended.")
        operator.complaints.clear()  # Chromium complains of what it could not load


async def test_the_first_paint_of_the_overview_is_light(night: Stage) -> None:
    await night.are_ready(await night.send(5))
    async with night.operator(at=None, viewport=SIZES["wide"]) as operator:
        fetched = await _fetched(operator)
    table = "\n".join(f"{size:>8} {address}" for address, size in fetched.items())
    print(table)  # noqa: T201  # what each resource takes
    assert {"document", "htmx.min.js", "pages.css"} <= {_name(address) for address in fetched}, table
    assert sum(fetched.values()) <= FIRST_PAINT_BYTES, table


async def test_without_javascript_all_can_be_read_and_a_queue_be_paused(night: Stage) -> None:
    async with night.operator(signed_in=False, java_script_enabled=False) as operator:
        page = operator.page
        await operator.go("/")
        await page.get_by_role("link", name="Sign in").click()
        await operator.enter()
        await operator.reads("All is well")
        await page.get_by_role("link", name="Jobs").click()
        await page.get_by_label("State").select_option("done")
        await page.get_by_role("button", name="Filter").click()
        await page.locator("tbody th a").first.click()
        await expect(page.get_by_role("heading", name="process job")).to_be_visible()
        await expect(page.locator("#attempt-1")).to_contain_text("done")
        await page.locator("dd a[href^='/ops/recordings/']").click()
        await expect(page.locator("main")).to_contain_text("ready")
        await page.get_by_role("link", name="Tenants").click()
        await expect(page.get_by_role("heading", name="Tenants")).to_be_visible()
        await page.get_by_role("link", name="Overview").click()
        queue = page.locator("#queue-purge")
        await queue.get_by_role("button", name="Pause").click()
        await expect(page.locator("#notices")).to_contain_text("purge is paused")
        await queue.get_by_role("button", name="Resume").click()
        await expect(page.locator("#notices")).to_contain_text("purge goes on")
        await expect(queue).not_to_contain_text("paused")
        await page.get_by_role("link", name="Audit").click()
        await expect(page.locator("main")).to_contain_text("queue purge")


async def test_keys_lead_everywhere_and_are_explained(night: Stage) -> None:
    async with night.operator() as operator:
        page = operator.page
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
        await page.keyboard.press("Enter")
        await expect(page.locator("#main")).to_be_focused()
        await page.keyboard.press("?")
        keys = page.get_by_role("dialog", name="Keys")
        await expect(keys).to_contain_text("find by id")
        await _stays_within(page)
        await page.keyboard.press("Escape")
        await expect(keys).to_be_hidden()
        await page.keyboard.press("/")
        await expect(page.get_by_role("searchbox")).to_be_focused()
        await page.locator("#main").focus()
        await page.keyboard.press("g")
        await page.keyboard.press("j")
        await page.wait_for_url("**/ops/jobs")
        await operator.go(DONE)
        await operator.is_live()
        links = page.locator("tbody th a")
        await page.keyboard.press("j")
        await expect(links.first).to_be_focused()
        assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        await page.keyboard.press("j")
        await expect(links.nth(1)).to_be_focused()
        await page.keyboard.press("k")
        target = await links.first.get_attribute("href")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**{target}")


async def test_a_dialog_keeps_the_focus_and_gives_it_back(night: Stage) -> None:
    async with night.operator() as operator:
        page = operator.page
        opener = page.locator("#queue-purge").get_by_role("link", name="Limits")
        await opener.focus()
        await page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog", name="Limits of purge")
        await expect(dialog.get_by_label("Of all tenants together")).to_be_focused()
        await _stays_within(page)
        await page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()
        await expect(opener).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_way_in_and_the_overview_are_accessible(
    night: Stage, scheme: Literal["light", "dark"]
) -> None:
    async with night.operator(signed_in=False, color_scheme=scheme) as stranger:
        for path in ("/", "/sign-in", "/sign-in?ended=1"):
            await stranger.go(path)
            await _is_fine(stranger, path)
    async with night.operator(color_scheme=scheme) as operator:
        await operator.reads("All is well")
        await _is_fine(operator, "well")
        await operator.picture("well")
        for name in ("Limits purge", "Keys"):
            await (
                operator.page.get_by_role("link", name=name)
                .or_(operator.page.get_by_role("button", name=name))
                .click()
            )
            await expect(operator.page.get_by_role("dialog")).to_be_visible()
            await _is_fine(operator, name)
            await operator.picture(name.split()[0])
            await operator.page.keyboard.press("Escape")
        await night.sql(
            "INSERT INTO queue (kind, paused_at, paused_by) VALUES ('process', now() - interval '2 h', 'kim@example.com')"
            " ON CONFLICT (kind) DO UPDATE SET paused_at = excluded.paused_at, paused_by = excluded.paused_by"
        )
        ids = await night.send(2)
        with night.storage_away():
            await operator.reads("kim@example.com paused process")
            await expect(operator.verdict.get_by_role("listitem")).to_have_count(1, timeout=SOON_MS)
            await _is_fine(operator, "troubles")
            await operator.picture("troubles")
        await operator.page.locator("#queue-process").get_by_role("button", name="Resume").click()
        await night.are_ready(ids)
        await operator.go("/ops/nothing")
        await _is_fine(operator, "fault")
        await operator.picture("fault")
        operator.complaints.clear()  # Chromium complains of the 404


async def _is_fine(operator: Room, what: str) -> None:
    """Without violations, and as wide as the screen."""
    for size in SIZES.values():
        await operator.page.set_viewport_size(size)
        assert await operator.violations() == [], what
        assert await operator.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), what


async def _stays_within(page: Page) -> None:
    """However often one goes on, the focus is in the dialog or with the browser."""
    for _ in range(8):
        await page.keyboard.press("Tab")
        assert await page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog[open]')"
        )


async def _fetched(operator: Room) -> dict[str, int]:
    """Bytes over the wire, by address, until the overview is live and still; its stream is one of them."""
    network = await operator.page.context.new_cdp_session(operator.page)
    addresses: dict[str, str] = {}
    sizes: dict[str, int] = {}

    def sent(event: dict[str, Any]) -> None:
        addresses[event["requestId"]] = event["request"]["url"] + (
            " (stream)" if event["type"] == "Fetch" else ""
        )

    def came(event: dict[str, Any]) -> None:
        sizes[event["requestId"]] = sizes.get(event["requestId"], 0) + int(event["encodedDataLength"])

    def ended(event: dict[str, Any]) -> None:
        sizes[event["requestId"]] = int(event["encodedDataLength"])

    network.on("Network.requestWillBeSent", sent)
    network.on("Network.dataReceived", came)
    network.on("Network.loadingFinished", ended)
    await network.send("Network.enable")
    await operator.go("/ops")
    await operator.is_live()
    await expect(operator.page.locator("#chart canvas")).to_be_visible()
    await operator.page.evaluate("document.fonts.ready")
    return {addresses[id_]: size for id_, size in sizes.items()}


def _name(address: str) -> str:
    return address.rpartition("/ops/static/")[2].partition("?")[0] if "/static/" in address else "document"
