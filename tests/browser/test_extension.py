"""A browser extension without host permissions uses a running deck: everything that it does goes through CORS."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Error, Worker

from tests.browser.tools import chromium
from tests.deck import Deck
from tests.factories import mask_nothing
from tests.fixtures import read

pytestmark = pytest.mark.timeout(240)  # a browser and a deck start before the first
EXTENSION = Path(__file__).with_name("extension")


@pytest.fixture(scope="module")
async def extension() -> AsyncIterator[Worker]:
    """The extension's service worker, where extensions send from."""
    async with chromium(extension=EXTENSION) as context:
        running = context.service_workers
        worker = running[0] if running else await context.wait_for_event("serviceworker")
        assert (await worker.evaluate("origin")).startswith("chrome-extension://")
        yield worker


class Client:
    """extension/client.js, called from here: `await client.send(envelope, key)`."""

    def __init__(self, worker: Worker, url: str, key: str) -> None:
        self.worker = worker
        self.deck = {"url": url, "key": key}

    async def __call__(self, name: str, *arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await self.worker.evaluate(
            "([name, ...rest]) => client[name](...rest)", [name, self.deck, *arguments]
        )
        return answer | {"body": json.loads(answer["text"] or "null")}


def envelope(recording: bytes) -> str:
    return f'{{"started_at": "2026-01-01T00:00:00Z", "events": {recording.decode()}}}'


async def test_an_extension_sends_recordings_and_reads_them_back(extension: Worker, deck: Deck) -> None:
    await mask_nothing(deck.database_url)
    ingest = Client(extension, deck.url, deck.keys.ingest_key)
    reader = Client(extension, deck.url, deck.keys.api_key)
    for name in ("login.json", "everything.json", "flood.json.gz"):
        created = await ingest("send", envelope(read(name)), name)
        assert created["status"] == 201
        recording_id = created["body"]["id"]
        assert created["headers"]["location"].endswith(f"/api/v1/recordings/{recording_id}")
        assert "x-request-id" in created["headers"]
        done = await ingest("settled", recording_id)
        assert (done["status"], done["body"]["status"]) == (200, "ready")

        events = await reader("events", recording_id)
        assert events["status"] == 200
        assert "etag" in events["headers"]
        assert events["body"] == json.loads(read(name))
        assert (await reader("remove", recording_id))["status"] == 204
        assert (await reader("events", recording_id))["status"] == 404


async def test_an_extension_that_sends_again_learns_that_it_did(extension: Worker, deck: Deck) -> None:
    client = Client(extension, deck.url, deck.keys.api_key)
    first = await client("send", envelope(read("login.json")), "same")
    again = await client("send", envelope(read("login.json")), "same")
    assert again["body"] == first["body"]
    assert again["headers"]["idempotency-replayed"] == "true"
    done = await client("settled", first["body"]["id"])
    assert (await client("changed", first["body"]["id"], done["headers"]["etag"]))["status"] == 304


async def test_an_extension_can_read_why_it_was_refused(
    extension: Worker, make_deck: Callable[..., Deck]
) -> None:
    deck = make_deck()
    await deck.start("web")
    stranger = await Client(extension, deck.url, "tdk_unknown")("send", envelope(b"[]"), "a")
    assert (stranger["status"], stranger["body"]["code"]) == (401, "unauthorized")
    client = Client(extension, deck.url, deck.keys.ingest_key)
    empty = await client("send", envelope(b"[]"), "b")
    assert (empty["status"], empty["body"]["code"]) == (400, "validation_error")
    unread = await client("events", "0198c0de-0000-7000-8000-000000000000")
    assert (unread["status"], unread["body"]["code"]) == (403, "forbidden")
    assert "x-request-id" in unread["headers"]


async def test_a_deck_for_other_origins_is_closed_to_the_extension(
    extension: Worker, make_deck: Callable[..., Deck]
) -> None:
    deck = make_deck(TAPEDECK_CORS_ORIGINS="https://tapes.example")
    await deck.start("web")
    with pytest.raises(Error, match="Failed to fetch"):
        await Client(extension, deck.url, deck.keys.api_key)("send", envelope(read("login.json")), "a")
