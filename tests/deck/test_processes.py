"""The processes of the Procfile, run one by one."""

from tests.deck import Deck
from tests.deck.recording import outcome, send


async def test_a_recording_goes_in_and_becomes_ready(deck: Deck) -> None:
    async with deck.client() as client:
        recording = await outcome(client, await send(client))
    assert recording["status"] == "ready"
    assert recording["playable"] is True
