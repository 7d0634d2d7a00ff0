"""A page of another origin records itself with rrweb and sends batches, as SDKs do, until it is left."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import BrowserContext, Page

from tests.api.live import INGEST, only, recordings
from tests.browser.player import player
from tests.browser.site import site
from tests.deck import Deck
from tests.deck.recording import outcome
from tests.factories import mask_nothing
from tests.line import line

pytestmark = pytest.mark.timeout(240)  # a browser and a deck start before each
SHOP = Path(__file__).with_name("shop")
SESSION = "sess_shop"


@pytest.fixture
def shop(player_modules: Path) -> Iterator[str]:
    """The origin of a shop whose page has an SDK."""
    files = {
        "/": SHOP / "index.html",
        "/sdk.js": SHOP / "sdk.js",
        "/rrweb.js": player_modules / "rrweb" / "dist" / "rrweb.umd.min.cjs",
    }
    with site(files) as origin:
        yield origin


class Visitor:
    """Somebody in the shop, in a tab of their own. `url` leads to a deck."""

    def __init__(self, page: Page, url: str, key: str) -> None:
        self.page = page
        self._options = {"url": f"{url}{INGEST}", "key": key, "sessionId": SESSION}

    async def enter(self, shop: str, ending: str = "beacon") -> None:
        await self.page.goto(shop)
        await self.page.evaluate("(options) => start(options)", self._options | {"ending": ending})

    async def order(self) -> None:
        await self.page.type("#name", "Kim")
        await self.page.click("#order")
        await self.page.evaluate("sdk.add('navigation', {from: '/cart', to: '/done', method: 'push'})")

    async def has_been_heard(self) -> None:
        """Wait until every batch was answered."""
        await self.page.wait_for_function("!sdk.underWay && !sdk.waiting.length")

    async def tries(self) -> int:
        count: int = await self.page.evaluate("sdk.tries")
        return count

    async def leave(self, *, at_once: bool = False) -> list[dict[str, Any]]:
        """Go elsewhere, `at_once` or when the batch that is under way was answered. Returns what the SDK has recorded."""
        await self.page.evaluate("sdk.stopRecording()")
        if not at_once:
            await self.page.wait_for_function("!sdk.underWay")
        recorded: list[dict[str, Any]] = json.loads(await self.page.evaluate("JSON.stringify(sdk.recorded)"))
        await self.page.goto("about:blank")
        await self.page.close()
        return recorded


def as_rrweb(recorded: list[dict[str, Any]], url: str) -> list[Any]:
    """What the SDK has recorded, as the deck gives it back."""
    return [
        one["data"]
        if one["eventType"] == "rrweb"
        else {
            "type": 5,
            "data": {"tag": one["eventType"], "payload": one["data"], "url": url},
            "timestamp": one["timestampMillis"],
        }
        for one in recorded
    ]


async def ready(client: httpx.AsyncClient) -> dict[str, Any]:
    """The recording of the session, once it is ready; the page's last words may still be on their way."""
    while not await recordings(client, SESSION):
        await asyncio.sleep(0.05)
    found = await outcome(client, (await only(client, SESSION))["id"])
    assert found["status"] == "ready"
    return found


async def has_every_event_once(
    client: httpx.AsyncClient, found: dict[str, Any], recorded: list[dict[str, Any]], shop: str
) -> str:
    """The events, as JSON. The last one is that the page was hidden."""
    answer = await client.get(f"/api/v1/recordings/{found['id']}/events")
    *events, last = answer.json()
    assert events == as_rrweb(recorded, f"{shop}/")
    assert (last["type"], last["data"]["tag"]) == (5, "visibility_change")
    return answer.text


@pytest.mark.parametrize("ending", ["beacon", "keepalive"])
async def test_a_page_that_is_left_has_sent_everything(
    browser: BrowserContext, player_modules: Path, shop: str, deck: Deck, ending: str
) -> None:
    await mask_nothing(deck.database_url)
    visitor = Visitor(await browser.new_page(), deck.url, deck.keys.ingest_key)
    await visitor.enter(shop, ending)
    async with deck.client() as client:
        await visitor.has_been_heard()
        await visitor.page.evaluate("sdk.holdsBack = true")
        await visitor.order()
        assert (await only(client, SESSION))["status"] == "uploading"
        recorded = await visitor.leave()
        found = await ready(client)
        assert (found["source"], found["fingerprint"], found["playable"]) == ("stream", SESSION, True)
        assert (found["events"]["duplicate"], found["events"]["rejected"]) == (0, 0)
        events = await has_every_event_once(client, found, recorded, shop)
        assert await only(client, SESSION) == found
    async with player(browser, player_modules) as rrweb:
        assert "Order received." in await rrweb.play(events)
        assert rrweb.complaints == []
    assert deck.keys.ingest_key not in "\n".join(deck.whole_logs())


async def test_batches_that_got_no_answer_are_sent_again_and_nothing_is_doubled(
    browser: BrowserContext, shop: str, make_deck: Callable[..., Deck]
) -> None:
    deck = make_deck()
    await deck.start()
    await mask_nothing(deck.database_url)
    async with line() as between, deck.client() as client:
        between.port_there = urlsplit(deck.url).port or 0
        visitor = Visitor(await browser.new_page(), between.url, deck.keys.ingest_key)
        between.lost.append(f"POST {INGEST}")  # the deck gets it, and the page never hears
        await visitor.enter(shop)
        await visitor.has_been_heard()
        assert between.lost == []

        deck.kill("web")
        before = await visitor.tries()
        await visitor.order()
        await visitor.page.wait_for_function("(before) => sdk.tries > before + 2", arg=before)
        await deck.start("web")
        await visitor.has_been_heard()
        recorded = await visitor.leave()
        found = await ready(client)
        assert found["events"]["received"] == found["events"]["stored"] == len(recorded) + 1
        await has_every_event_once(client, found, recorded, shop)
        assert await only(client, SESSION) == found


async def test_a_page_that_is_left_while_a_batch_is_under_way(
    browser: BrowserContext, shop: str, deck: Deck
) -> None:
    await mask_nothing(deck.database_url)
    async with line() as between, deck.client() as client:
        between.port_there = urlsplit(deck.url).port or 0
        visitor = Visitor(await browser.new_page(), between.url, deck.keys.ingest_key)
        between.withheld.append(f"POST {INGEST}")  # the deck gets it, the page still waits to hear so
        await visitor.enter(shop)
        await between.has_stalled.wait()
        await visitor.order()
        recorded = await visitor.leave(at_once=True)
        open_one = await only(client, SESSION)
        while (
            "visibility_change" not in (await client.get(f"/api/v1/recordings/{open_one['id']}/events")).text
        ):
            await asyncio.sleep(0.05)
        # Nobody could say that it was the last batch.
        assert (await client.post(f"/api/v1/recordings/{open_one['id']}/finish")).status_code == 202
        found = await ready(client)
        assert found["events"]["received"] == found["events"]["stored"]
        await has_every_event_once(client, found, recorded, shop)
