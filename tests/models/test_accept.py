"""Accepting: one commit, and idempotency keys that hold under a race."""

import asyncio
import os

import pytest
from sqlalchemy import text

from models import payload
from models.accept import Idempotency, KeyReused
from models.db import Database
from models.job import JobKind, JobState
from models.recording import CHUNK_BYTES, Status
from tests.factories import Deckhand, accepted, job_of, recording

KEY = Idempotency("a key", b"one body")


async def count(db: Database, table: str) -> int:
    async with db.autocommit() as connection:
        return int((await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())


async def test_an_accepted_recording_has_its_payload_and_its_job(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    found = await recording(database, id_)
    assert found
    assert found.status is Status.UPLOADING
    job = await job_of(database, id_)
    assert job
    assert (job.kind, job.state) == (JobKind.PROCESS, JobState.DUE)
    assert await payload.batches(database, id_) == [0]


async def test_a_large_payload_is_cut_into_chunks_that_give_it_back(
    database: Database, hand: Deckhand
) -> None:
    body = os.urandom(CHUNK_BYTES + 1000)  # does not compress
    id_ = await accepted(database, hand, body)
    chunks = [chunk async for chunk in payload.chunks(database, id_, 0)]
    assert len(chunks) == 2
    assert all(len(chunk) <= CHUNK_BYTES for chunk in chunks)


async def test_the_same_key_and_body_again_is_the_same_recording(database: Database, hand: Deckhand) -> None:
    first = await accepted(database, hand, idempotency=KEY)
    assert await accepted(database, hand, idempotency=KEY) == first
    assert [await count(database, table) for table in ("recording", "payload", "job")] == [1, 1, 1]


async def test_the_same_key_with_another_body_is_refused(database: Database, hand: Deckhand) -> None:
    await accepted(database, hand, idempotency=KEY)
    with pytest.raises(KeyReused):
        await accepted(database, hand, idempotency=Idempotency(KEY.key, b"other body"))
    assert await count(database, "recording") == 1


async def test_a_race_with_one_key_makes_one_recording(database: Database, hand: Deckhand) -> None:
    ids = await asyncio.gather(*(accepted(database, hand, idempotency=KEY) for _ in range(20)))
    assert len(set(ids)) == 1
    assert [await count(database, table) for table in ("recording", "payload", "job")] == [1, 1, 1]


async def test_a_key_is_free_again_after_a_day(database: Database, hand: Deckhand) -> None:
    first = await accepted(database, hand, idempotency=KEY)
    async with database.transaction() as session:
        await session.execute(text("UPDATE idempotency_key SET created_at = now() - interval '25 hours'"))
    assert await accepted(database, hand, idempotency=KEY) != first
