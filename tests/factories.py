"""Tenants and recordings for tests, made through the same doors that the service uses."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import zstandard
from sqlalchemy import select
from sqlmodel import col

from models import queries
from models.accept import Idempotency, NewRecording, accept
from models.bootstrap import FirstKeys, ensure_first_tenant
from models.db import Database
from models.ids import new_id
from models.job import Job, JobKind
from models.processes import Process, Role
from models.queries import KeyRights
from models.recording import Recording, Source
from models.tenancy import ApiKey
from models.video import VideoTerms

START_MS = 1_700_000_000_000
TERMS = VideoTerms(wait_s=3600, url_ttl_s=60, upload_deadline_s=60)


@dataclass(frozen=True)
class Deckhand:
    """A tenant with its keys."""

    keys: FirstKeys
    api_key: ApiKey | KeyRights
    ingest_key: ApiKey | KeyRights

    @property
    def tenant_id(self) -> UUID:
        return self.api_key.tenant_id


async def mask_nothing(database_url: str) -> None:
    """Recordings are stored as they are sent, in all projects that there are."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE project SET masking = 'off'")
    await connection.close()


async def first_tenant(db: Database, database_url: str) -> Deckhand:
    """The first tenant of an empty database."""
    keys = FirstKeys.generate()
    assert await ensure_first_tenant(database_url, keys)
    api_key, ingest_key = await queries.api_key(db, keys.api_key), await queries.api_key(db, keys.ingest_key)
    assert api_key
    assert ingest_key
    return Deckhand(keys, api_key, ingest_key)


def events(count: int = 3) -> list[dict[str, Any]]:
    """A recording that plays: Meta, full snapshot, then mouse moves, one a second."""
    snapshot = {"node": {"type": 0, "childNodes": [], "id": 1}, "initialOffset": {"left": 0, "top": 0}}
    meta = {"href": "https://app.example.com/login", "width": 1280, "height": 720}
    made = [
        {"type": 4, "data": meta, "timestamp": START_MS},
        {"type": 2, "data": snapshot, "timestamp": START_MS},
    ]
    for number in range(count - 2):
        position = {"x": number, "y": 1, "id": 1, "timeOffset": 0}
        data = {"source": 1, "positions": [position]}
        made.append({"type": 3, "data": data, "timestamp": START_MS + 1000 * (number + 1)})
    return made


def upload(events_: Sequence[Any] | None = None, **fields: Any) -> bytes:
    """The body of POST /api/v1/recordings."""
    body = {
        "started_at": "2023-11-14T22:13:20Z",
        "events": events() if events_ is None else events_,
        **fields,
    }
    return json.dumps(body).encode()


async def accepted(
    db: Database,
    hand: Deckhand,
    body: bytes | None = None,
    *,
    idempotency: Idempotency | None = None,
    source: Source = Source.UPLOAD,
    **fields: Any,
) -> UUID:
    """Accept a recording as the API does. Returns its id."""
    new = NewRecording(
        tenant_id=hand.tenant_id,
        project_id=hand.api_key.project_id,
        user_id=hand.api_key.user_id,
        api_key_id=hand.api_key.id,
        source=source,
        started_at=datetime.fromtimestamp(START_MS / 1000, UTC),
        **fields,
    )
    return (await accept(db, new, zstandard.compress(body or upload()), idempotency, terms=TERMS)).id


async def job_of(db: Database, recording_id: UUID, kind: JobKind | None = None) -> Job | None:
    """The one live or dead job of a recording, or its one of a kind, or None."""
    wanted = select(Job).where(col(Job.recording_id) == recording_id)
    if kind:
        wanted = wanted.where(col(Job.kind) == kind)
    async with db.transaction() as session:
        return (await session.execute(wanted)).scalar_one_or_none()


async def recording(db: Database, recording_id: UUID) -> Recording | None:
    """A recording, deleted ones included."""
    async with db.transaction() as session:
        return await session.get(Recording, recording_id)


def a_process(role: Role = Role.WORKER, *, name: str = "w:1", kinds: Sequence[str] = ()) -> Process:
    """A process that has not said yet that it is there (`models.processes.beat`)."""
    return Process(
        id=new_id(), role=role, name=name, host="h", pid=1, version="1", kinds=list(kinds), threads=8
    )
