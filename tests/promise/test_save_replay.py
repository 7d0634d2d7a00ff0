"""A complete session, in a real deck: from its 201 to what a player gets."""

from app import examples
from tests.deck import Deck
from tests.promise.dust import nothing_left_over, settled


async def test_a_session_becomes_ready_and_plays(deck: Deck) -> None:
    async with deck.client(deck.keys.ingest_key) as ingest, deck.client() as reader:
        ids = []
        for number in range(5):
            headers = {"Idempotency-Key": str(number // 2)}
            saved = await ingest.post("/api/save-replay", json=examples.SESSION, headers=headers)
            assert saved.status_code == 201, saved.text
            ids.append(saved.json()["replayId"])
        assert ids[0] == ids[1] != ids[2] == ids[3] != ids[4]
        for replay in await settled(reader, sorted(set(ids))):
            assert (replay["status"], replay["source"], replay["playable"]) == ("ready", "replay", True)
            played = await reader.get(
                f"/api/v1/recordings/{replay['id']}/events", headers={"Accept-Encoding": "gzip"}
            )
            assert played.headers["Content-Encoding"] == "gzip"
            assert played.json() == examples.SESSION["events"]
    await nothing_left_over(deck.database_url)
