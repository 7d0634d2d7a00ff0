"""Live sessions for the tests of the API: batches as an SDK sends them, and what becomes of them."""

import json
from typing import Any
from uuid import UUID

import httpx

from models import live
from models.db import Database
from models.job import JobKind
from models.live import LiveTerms
from models.recording import Recording
from tests.factories import START_MS, job_of, recording
from tests.models.steps import claimed, make_due

INGEST = "/ingest/v1/replay"
SESSION = "sess_8f3a2c1b"


def event(number: int, event_type: str = "mouse_click", **data: Any) -> dict[str, Any]:
    """One event, `number` seconds into the session."""
    text = json.dumps({"n": number, **data})
    return {"eventType": event_type, "eventData": text, "timestampMillis": START_MS + 1000 * number}


def batch(*numbers: int, session: str = SESSION, **members: Any) -> dict[str, Any]:
    """The body of a batch with these events."""
    return {"fingerprint": "fp_1", "sessionId": session, "events": [event(n) for n in numbers], **members}


async def send(client: httpx.AsyncClient, body: Any, **headers: str) -> httpx.Response:
    """Send a batch that is fit."""
    answer = await client.post(INGEST, json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    return answer


async def recordings(client: httpx.AsyncClient, session: str = SESSION) -> list[dict[str, Any]]:
    """The recordings of a session, oldest first."""
    found = (await client.get("/api/v1/recordings", params={"session_id": session})).json()
    return list(reversed(found["recordings"]))


async def only(client: httpx.AsyncClient, session: str = SESSION) -> dict[str, Any]:
    """The one recording of a session."""
    (one,) = await recordings(client, session)
    return one


async def numbers(client: httpx.AsyncClient, recording_id: str) -> list[int]:
    """The events of a recording, by their numbers."""
    events = (await client.get(f"/api/v1/recordings/{recording_id}/events")).json()
    return [one["data"]["payload"]["n"] for one in events]


async def closed_for_idleness(db: Database, recording_id: str, terms: LiveTerms) -> bool:
    """Run the job `close`, as a worker would when it is due. Whether the recording is closed now."""
    assert await job_of(db, UUID(recording_id), JobKind.CLOSE)
    await make_due(db)
    work = await claimed(db, UUID(recording_id), JobKind.CLOSE)
    return await live.commit_closed(db, work.claim, terms) == 0


async def row_of(db: Database, recording_id: str) -> Recording:
    found = await recording(db, UUID(recording_id))
    assert found
    return found
