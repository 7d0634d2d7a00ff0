"""The processes of the Procfile, run one by one."""

import asyncio
import signal
from collections.abc import Callable

from tests.deck import Deck
from tests.deck.recording import outcome, send


async def test_a_recording_goes_in_and_becomes_ready(deck: Deck) -> None:
    async with deck.client() as client:
        recording = await outcome(client, await send(client))
    assert recording["status"] == "ready"
    assert recording["playable"] is True


async def test_a_stop_answers_those_who_wait_and_logs_no_secret(make_deck: Callable[..., Deck]) -> None:
    deck = make_deck()
    await deck.start("web")
    async with deck.client() as client:
        path = f"/api/v1/recordings/{await send(client)}"
        waiting = asyncio.create_task(client.get(path, headers={"Prefer": "wait=60"}))
        await asyncio.wait([waiting], timeout=0.5)
        deck.kill("web", signal.SIGTERM)
        answer = await waiting
    assert (answer.status_code, answer.json()["status"]) == (200, "uploading")
    while deck.is_running("web"):
        await asyncio.sleep(0.05)
    assert "Traceback" not in deck.log("web")
    assert deck.keys.api_key not in deck.log("web")
