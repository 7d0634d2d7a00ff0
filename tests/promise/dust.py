"""What must hold when the dust has settled."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import Executable, text

from models.breakers import BreakerState
from models.db import Database, is_away
from models.job import JobKind
from tests.deck import Deck
from tests.factories import events, upload

SETTLED_S = 100.0
IN_A_HURRY = {
    "TAPEDECK_LEASE_S": "4",
    "TAPEDECK_PUT_DEADLINE_S": "2",
    "TAPEDECK_BACKOFF_S": "0.2",
    "TAPEDECK_BACKOFF_MAX_S": "1",
    "TAPEDECK_RING_AGAIN_S": "1",
    "TAPEDECK_SWEEP_S": "1",
    "TAPEDECK_POLL_S": "0.2",
    "TAPEDECK_UPLOAD_URL_TTL_S": "10",
    "TAPEDECK_UPLOAD_DEADLINE_S": "10",
}
"""Short leases and delays, so that a test need not wait as long as an operator would."""

LARGE = upload(events(120_000))
"""About 15 MB: a worker is at it long enough to be caught in the middle."""


async def send(client: httpx.AsyncClient, body: bytes | None = None) -> str:
    """Upload a recording. Returns its id."""
    answer = await client.post(
        "/api/v1/recordings", content=body or upload(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def settled(client: httpx.AsyncClient, ids: Sequence[str]) -> list[dict[str, Any]]:
    """The recordings once all are terminal, whatever the service answers meanwhile."""
    deadline = time.monotonic() + SETTLED_S
    found: dict[str, dict[str, Any]] = {}
    while len(found) < len(ids):
        for id_ in set(ids) - set(found):
            try:
                answer = await client.get(f"/api/v1/recordings/{id_}", headers={"Prefer": "wait=1"})
            except httpx.TransportError:
                continue
            if answer.is_success and answer.json()["status"] in ("ready", "failed"):
                found[id_] = answer.json()
        assert time.monotonic() < deadline, f"{len(ids) - len(found)} of {len(ids)} recordings are stuck"
        await asyncio.sleep(0.05)
    return [found[id_] for id_ in ids]


async def keep_running(deck: Deck, name: str) -> None:
    """Start a process again whenever it has ended, as a supervisor does."""
    while True:
        if not deck.is_running(name):
            await deck.start(name)
        await asyncio.sleep(0.1)


async def running(database_url: str, kind: JobKind = JobKind.PROCESS) -> None:
    """Wait until a worker is in the middle of a job of this kind."""
    at_work = text("SELECT 1 FROM job WHERE state = 'running' AND kind = :kind")
    await _until(database_url, at_work.bindparams(kind=kind.value))


async def breaker(database_url: str, state: BreakerState) -> None:
    """Wait until storage's breaker is in this state."""
    is_so = text("SELECT 1 FROM breaker WHERE state = :state")
    await _until(database_url, is_so.bindparams(state=state.value))


async def _until(database_url: str, found: Executable) -> None:
    database = Database(database_url)
    try:
        async with database.autocommit() as connection:
            while not (await connection.execute(found)).first():
                await asyncio.sleep(0.01)
    finally:
        await database.close()


async def used_up(database_url: str, recording_id: str) -> tuple[int, int]:
    """Attempts and losses of the recording's finished or dead `process`."""
    database = Database(database_url)
    both = text(
        """SELECT attempts, losses FROM job_history WHERE recording_id = :id AND kind = 'process'
           UNION ALL SELECT attempts, losses FROM job WHERE recording_id = :id AND kind = 'process'"""
    )
    try:
        async with database.autocommit() as connection:
            attempts, losses = (await connection.execute(both, {"id": UUID(recording_id)})).one()
    finally:
        await database.close()
    return attempts, losses


async def nothing_left_over(database_url: str, objects: Path | None = None) -> None:
    """Wait until no job and no object but live ones is left; each live object then is a file, and no file is more."""
    database = Database(database_url)
    deadline = time.monotonic() + SETTLED_S
    try:
        while True:
            left, live = await _left_over(database)
            files = (
                {str(p.relative_to(objects)) for p in objects.rglob("*") if p.is_file()} if objects else live
            )
            files = {name for name in files if not name.startswith(".")}  # drafts are swept by age
            if not left and files == live:
                return
            assert time.monotonic() < deadline, f"left over: {left}, files {files ^ live}"
            await asyncio.sleep(0.1)
    finally:
        await database.close()


async def _left_over(database: Database) -> tuple[dict[str, int], set[str]]:
    counts = {
        "jobs": "SELECT count(*) FROM job WHERE state <> 'dead'",
        "objects": "SELECT count(*) FROM object WHERE state <> 'live'",
        "payloads": """SELECT count(*) FROM payload JOIN recording ON recording.id = recording_id
                       WHERE status <> 'failed' OR deleted_at IS NOT NULL""",
        "live objects nobody refers to": """SELECT count(*) FROM object WHERE state = 'live' AND NOT EXISTS (
                       SELECT 1 FROM recording
                       WHERE object.name IN (tape_name, sidecar_name, video_name, upload_name))""",
        "finished more than once": """SELECT count(*) FROM (SELECT 1 FROM job_history WHERE state = 'done'
                       GROUP BY recording_id, kind HAVING count(*) > 1) AS twice""",
    }
    try:
        async with database.autocommit() as connection:
            left = {
                name: (await connection.execute(text(query))).scalar_one() for name, query in counts.items()
            }
            live = set(
                (await connection.execute(text("SELECT name FROM object WHERE state = 'live'"))).scalars()
            )
    except Exception as error:
        if not is_away(error):
            raise
        return {"database away": 1}, set()
    return {name: count for name, count in left.items() if count}, live
