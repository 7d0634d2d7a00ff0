"""Live sessions for the tests of models/, opened and appended to as `app.ingest` does it."""

import asyncio
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import zstandard
from sqlalchemy import text

from models import live
from models.accept import NewRecording, Opening, SessionIsOpen, accept
from models.db import Database
from models.live import Appended, LiveTerms, NewBatch
from models.recording import OPENING, Source
from tests.factories import START_MS, TERMS, Deckhand, upload

SESSION = "sess_8f3a2c1b"
LIVE = LiveTerms(idle_s=60, max_s=3600, max_bytes=1 << 20)


def batch(number: int, size: int = 100) -> NewBatch:
    """A batch of its own for each number."""
    body = upload([{"type": 5, "data": {"tag": "n", "payload": number}, "timestamp": START_MS + number}])
    return NewBatch(zstandard.compress(body), hashlib.sha256(body).digest(), size)


def digests(numbers: Iterable[int]) -> set[bytes]:
    return {batch(n).digest for n in numbers}


async def opened(
    db: Database,
    hand: Deckhand,
    first: NewBatch | None = None,
    *,
    source: Source = Source.STREAM,
    **fields: Any,
) -> UUID:
    """Open a session. Raises SessionIsOpen."""
    first = first or batch(0)
    opening = Opening(first.digest, first.size, LIVE.first_look_s)
    if source is Source.STREAM:
        fields = {"session_id": SESSION, "fingerprint": "fp"} | fields
    new = NewRecording(
        tenant_id=hand.tenant_id,
        project_id=hand.api_key.project_id,
        user_id=hand.api_key.user_id,
        api_key_id=hand.api_key.id,
        source=source,
        started_at=datetime.fromtimestamp(START_MS / 1000, UTC),
        **fields,
    )
    return (await accept(db, new, first.payload, terms=TERMS, opening=opening)).id


async def opened_in_chunks(db: Database, hand: Deckhand, **fields: Any) -> UUID:
    """Open a recording that takes chunks."""
    return await opened(db, hand, batch(OPENING), source=Source.UPLOAD, **fields)


async def append(
    db: Database, hand: Deckhand, one: NewBatch, terms: LiveTerms = LIVE, session: str = SESSION
) -> Appended | None:
    return await live.append_to_session(db, hand.api_key.project_id, session, one, terms)


async def keep(db: Database, hand: Deckhand, one: NewBatch, terms: LiveTerms = LIVE) -> UUID | None:
    """The recording that a batch is in, opened if need be; None: one that is closed has it."""
    while True:
        if appended := await append(db, hand, one, terms):
            if appended.is_full:
                await live.finish(db, hand.tenant_id, appended.recording_id)
            return appended.recording_id
        before = await live.before(db, hand.tenant_id, hand.api_key.project_id, SESSION, one.digest)
        if before.received:
            return None
        try:
            return await opened(db, hand, one, continues=before.recording_id)
        except SessionIsOpen:
            await asyncio.sleep(0)


async def rows(db: Database, query: str, **values: Any) -> list[Any]:
    async with db.autocommit() as connection:
        return list((await connection.execute(text(query), values)).all())


async def kept_of(db: Database, recording_id: UUID) -> set[bytes]:
    """The batches of a recording whose payload is there, by their digests."""
    found = await rows(
        db,
        """SELECT DISTINCT digest FROM batch JOIN payload
           ON payload.recording_id = batch.recording_id AND payload.batch = batch.number
           WHERE batch.recording_id = :id""",
        id=recording_id,
    )
    return {digest for (digest,) in found}


async def waiting_for_a_lock(db: Database, many: int = 1) -> None:
    """Until so many statements of this database wait for a lock."""
    query = """SELECT count(*) FROM pg_stat_activity
               WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    while (await rows(db, query))[0][0] < many:
        await asyncio.sleep(0.01)
