"""The processes of the Procfile, run one by one."""

from tests.deck import Deck


async def test_a_recording_goes_in_and_becomes_ready(deck: Deck) -> None:
    body = {
        "started_at": "2026-05-04T10:00:00Z",
        "events": [
            {
                "type": 4,
                "data": {"href": "https://example.com/", "width": 1280, "height": 720},
                "timestamp": 1777888800000,
            }
        ],
    }
    async with deck.client() as client:
        made = await client.post("/api/v1/recordings", json=body)
        assert made.status_code == 201, made.text
        for _ in range(2):
            got = await client.get(made.headers["Location"], headers={"Prefer": "wait=20"})
    assert got.json()["status"] == "ready"
