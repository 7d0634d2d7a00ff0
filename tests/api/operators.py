"""Operators, for tests: their client, and jobs to operate on."""

from typing import Any
from uuid import UUID

import httpx

from models.db import Database
from models.retry import Failure, FailureKind
from tests.factories import Deckhand, accepted, job_of
from tests.models.steps import BAD, claimed, settle

OPS = "/api/v1/ops"
HOSTILE = "\x1b]0;owned\x07\x1b[2J <script>alert(1)</script> \u202e'\"\\ [bold]"


async def dead(db: Database, hand: Deckhand, count: int = 1, failure: Failure = BAD) -> list[UUID]:
    """Recordings whose `process` died."""
    ids = [await accepted(db, hand) for _ in range(count)]
    for id_ in ids:
        await settle(db, await claimed(db, id_), failure)
    return ids


async def job_id(db: Database, recording_id: UUID) -> UUID:
    job = await job_of(db, recording_id)
    assert job
    return job.id


def hostile() -> Failure:
    """A failure that quotes what a stranger sent."""
    return Failure(
        FailureKind.BAD_INPUT, BAD.code, HOSTILE, HOSTILE, f"ValueError: {HOSTILE}", "replay.plan:plan"
    )


async def get(client: httpx.AsyncClient, path: str, **params: Any) -> dict[str, Any]:
    answer = await client.get(f"{OPS}{path}", params=params)
    assert answer.status_code == 200, answer.text
    read: dict[str, Any] = answer.json()
    return read
