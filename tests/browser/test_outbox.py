"""An extension whose service worker is ended while it sends a video: it picks up where it stopped, and sends it once."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import CDPSession, Page

from tests.api.videos import WEBM
from tests.browser.test_extension import EXTENSION, envelope
from tests.browser.tools import chromium
from tests.deck import Deck
from tests.deck.recording import outcome
from tests.fixtures import read
from tests.line import Line, line
from tests.promise.dust import IN_A_HURRY, nothing_left_over

pytestmark = pytest.mark.timeout(300)  # a browser and a deck start before each

PATH = "/api/v1/recordings"
WITH_VIDEO = envelope(read("login.json")).replace("{", '{"has_video": true, ', 1)


class Extension:
    """The extension, as seen from a page of its own: so its service worker can be ended, and is woken by itself alone."""

    def __init__(self, page: Page, devtools: CDPSession) -> None:
        self._page, self._devtools = page, devtools
        self._statuses: asyncio.Queue[str] = asyncio.Queue()
        devtools.on("ServiceWorker.workerVersionUpdated", self._hear)

    def _hear(self, message: dict[str, Any]) -> None:
        for version in message["versions"]:
            self._statuses.put_nowait(version["runningStatus"])

    async def record(self, deck: dict[str, str], key: str) -> None:
        """Have the worker send a recording with a video; this returns before that is done."""
        message = [deck, WITH_VIDEO, base64.b64encode(WEBM).decode(), key]
        await self._page.evaluate("(message) => chrome.runtime.sendMessage(message)", message)

    async def end_worker(self) -> None:
        """As Chromium does after 30 idle seconds, whatever the worker is at."""
        while not self._statuses.empty():
            self._statuses.get_nowait()
        await self._devtools.send("ServiceWorker.stopAllWorkers")
        while await self._statuses.get() != "stopped":
            pass

    async def watch(self, *arguments: Any) -> dict[str, Any]:
        """What `client.watch` gives, in the page."""
        call = "async (all) => (await import('/client.js')).watch(...all)"
        seen: dict[str, Any] = await self._page.evaluate(call, arguments)
        return seen

    async def has_sent_all(self) -> None:
        """Until nothing is left in the outbox. Looking at it does not wake the worker."""
        while await self._page.evaluate("async () => (await import('/outbox.js')).left()"):
            await asyncio.sleep(0.1)


@asynccontextmanager
async def running_extension() -> AsyncIterator[Extension]:
    """In a Chromium of its own."""
    async with chromium(extension=EXTENSION) as context:
        workers = context.service_workers
        worker = workers[0] if workers else await context.wait_for_event("serviceworker")
        page = await context.new_page()
        await page.goto(worker.url.replace("worker.js", "popup.html"))
        devtools = await context.new_cdp_session(page)
        extension = Extension(page, devtools)
        await devtools.send("ServiceWorker.enable")
        yield extension


class Stage:
    """An extension, a deck, and the line between them."""

    def __init__(self, deck: Deck, line: Line, extension: Extension) -> None:
        self.deck, self.line, self.extension = deck, line, extension

    async def record(self, key: str) -> None:
        deck = {"url": self.line.url, "key": self.deck.keys.ingest_key}
        await self.extension.record(deck, key)

    async def recordings(self) -> list[dict[str, Any]]:
        """All that there are, once each is ready or failed."""
        async with self.deck.client() as client:
            listed = (await client.get(PATH)).json()["recordings"]
            return [await outcome(client, one["id"]) for one in listed]

    async def leaves_nothing(self) -> None:
        await nothing_left_over(self.deck.database_url, Path(urlsplit(self.deck.storage_url).path))


@pytest.fixture
async def make_stage(make_deck: Callable[..., Deck]) -> AsyncIterator[Callable[..., Any]]:
    async with line() as between, running_extension() as extension:

        async def make(**environment: str) -> Stage:
            deck = make_deck(
                **IN_A_HURRY | {"TAPEDECK_LEASE_S": "30", "TAPEDECK_PUBLIC_URL": between.url} | environment
            )
            between.port_there = urlsplit(deck.url).port or 0
            await deck.start()
            return Stage(deck, between, extension)

        yield make


async def test_a_worker_that_is_ended_picks_up_where_it_stopped(make_stage: Callable[..., Any]) -> None:
    stage = await make_stage()
    confirm = f"POST {PATH}/"
    faults: list[Callable[[Line], None]] = [
        lambda line: line.stalled.update({f"POST {PATH} HTTP": 300}),  # nothing is accepted yet
        lambda line: line.withheld.append(f"POST {PATH} HTTP"),  # accepted; it does not know
        lambda line: line.stalled.update({"PUT ": 9000}),  # a quarter of the video is out
        lambda line: line.withheld.append("PUT "),
        lambda line: line.stalled.update({confirm: 0}),
        lambda line: line.withheld.append(confirm),
    ]
    for number, fault in enumerate(faults):
        stage.line.has_stalled.clear()
        fault(stage.line)
        await stage.record(f"recording-{number}")
        await stage.line.has_stalled.wait()
        await stage.extension.end_worker()
        await stage.extension.has_sent_all()
        sent = await stage.recordings()
        assert [one["status"] for one in sent] == ["ready"] * (number + 1)
        assert {one["video"]["bytes"] for one in sent} == {len(WEBM)}
    await stage.leaves_nothing()


async def test_answers_that_are_lost_and_urls_that_expire_cost_nothing(
    make_stage: Callable[..., Any],
) -> None:
    stage = await make_stage(TAPEDECK_UPLOAD_URL_TTL_S="3", TAPEDECK_UPLOAD_DEADLINE_S="4")
    stage.line.lost += [f"POST {PATH} HTTP", f"POST {PATH}/", f"POST {PATH}/"]
    stage.line.stalled["PUT "] = 9000  # until the deck ends it, and the URL has expired
    await stage.record("recording")
    await stage.extension.has_sent_all()
    (sent,) = await stage.recordings()
    assert (sent["status"], sent["video"]["bytes"]) == ("ready", len(WEBM))
    assert (stage.line.lost, stage.line.stalled) == ([], {})

    for origin in (stage.line.url, stage.deck.url):  # that of the video's URL, and another one
        for header in ("X-API-Key", "Authorization"):
            reader = {"url": origin, "key": stage.deck.keys.api_key}
            seen = await stage.extension.watch(reader, sent["id"], header, "bytes=0-999")
            assert seen == {"status": 206, "type": "video/webm", "bytes": 1000}
    await stage.leaves_nothing()
