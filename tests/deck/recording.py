"""A recording to send: the smallest that plays."""

from typing import Any

import httpx

META = {
    "type": 4,
    "data": {"href": "https://example.com/", "width": 1280, "height": 720},
    "timestamp": 1777888800000,
}
SNAPSHOT = {
    "type": 2,
    "data": {"node": {"type": 0, "childNodes": [], "id": 1}, "initialOffset": {"left": 0, "top": 0}},
    "timestamp": 1777888800001,
}
UPLOAD = {"started_at": "2026-05-04T10:00:00Z", "events": [META, SNAPSHOT]}


async def send(client: httpx.AsyncClient) -> str:
    """Upload it; its id."""
    answer = await client.post("/api/v1/recordings", json=UPLOAD)
    assert answer.status_code == 201, answer.text
    recording_id: str = answer.json()["id"]
    return recording_id


async def outcome(client: httpx.AsyncClient, recording_id: str) -> dict[str, Any]:
    """The recording, once its status is terminal."""
    while True:
        answer = await client.get(f"/api/v1/recordings/{recording_id}", headers={"Prefer": "wait=20"})
        assert answer.status_code == 200, answer.text
        recording: dict[str, Any] = answer.json()
        if recording["status"] in ("ready", "failed"):
            return recording
