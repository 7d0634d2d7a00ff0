"""Payloads: what a client sent, batch by batch."""

from array import array
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from sqlalchemy import delete, func, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.db import Database
from models.recording import CHUNK_BYTES, Payload
from replay.runs import runs


def cut(compressed: bytes) -> list[bytes]:
    """One batch as the chunks that are stored of it."""
    return [compressed[at : at + CHUNK_BYTES] for at in range(0, len(compressed), CHUNK_BYTES)]


async def batches(db: Database, recording_id: UUID) -> Sequence[int]:
    """The batches of a recording that are waiting in Postgres, in the order they are to be read."""
    wanted = select(col(Payload.batch)).where(col(Payload.recording_id) == recording_id)
    async with db.autocommit() as connection:
        return (await connection.execute(wanted.distinct().order_by(col(Payload.batch)))).scalars().all()


async def chunks(db: Database, recording_id: UUID, batch: int) -> AsyncIterator[bytes]:
    """The chunks of one batch, one row at a time: together they are one zstd-compressed body."""
    at = 0
    while True:
        wanted = select(col(Payload.data)).where(
            col(Payload.recording_id) == recording_id, col(Payload.batch) == batch, col(Payload.chunk) == at
        )
        async with db.autocommit() as connection:
            data = (await connection.execute(wanted)).scalar_one_or_none()
        if data is None:
            return
        yield data
        at += 1


async def load(db: Database, recording_id: UUID) -> dict[int, list[bytes]]:
    """The chunks of each batch that is there now, in the order they are to be read. Small ones come together."""
    place = tuple_(col(Payload.batch), col(Payload.chunk))
    whose = col(Payload.recording_id) == recording_id
    async with db.autocommit() as connection:
        wanted = select(col(Payload.batch), col(Payload.chunk), func.octet_length(col(Payload.data)))
        found = (await connection.execute(wanted.where(whose).order_by(place))).all()
    loaded: dict[int, list[bytes]] = {batch: [] for batch, _, _ in found}
    listed = {(batch, chunk) for batch, chunk, _ in found}
    for start, end in runs(array("Q", [size for _, _, size in found]), CHUNK_BYTES):
        first, last = found[start], found[end - 1]
        there = place.between(tuple_(first[0], first[1]), tuple_(last[0], last[1]))
        rows = select(col(Payload.batch), col(Payload.chunk), col(Payload.data)).where(whose, there)
        async with db.autocommit() as connection:
            for batch, chunk, data in await connection.execute(rows.order_by(place)):
                if (batch, chunk) in listed:  # not one that came since
                    loaded[batch].append(data)
    return loaded


async def replace(session: AsyncSession, recording_id: UUID, batch: int, compressed: bytes) -> None:
    """Another body takes the place of a batch, if that is still there."""
    old = (col(Payload.recording_id) == recording_id) & (col(Payload.batch) == batch)
    if not (await session.execute(delete(Payload).where(old).returning(col(Payload.chunk)))).all():
        return
    whose = {"recording_id": recording_id, "batch": batch}
    for number, data in enumerate(cut(compressed)):
        await session.execute(insert(Payload).values(chunk=number, data=data, **whose))
