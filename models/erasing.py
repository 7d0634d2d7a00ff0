"""Carrying an erasure out, step by step. Only the database says how far it is: each step may be repeated at any time.

Two dispatchers may be at the same erasure, and two erasures at the same recording: each change is made under the
recording's lock, or only where it was not made yet.
"""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import Select, delete, func, select, text, update
from sqlmodel import col

from models import deletion, ledger, lifecycle
from models.db import Database
from models.erasure import ErasedRecording, Erasure, matching
from models.object import StoredObject
from models.recording import IdempotencyKey, Recording, Tally, hour_of
from models.rows import MODELS

TABLES = {
    "recording": "id",
    "replay": "replay_id",
    "payload": "recording_id",
    "batch": "recording_id",
    "tape": "recording_id",
    "object": "recording_id",
    "job": "recording_id",
    "job_history": "recording_id",
    "attempt": "recording_id",
    "status_change": "recording_id",
    "mask_request": "recording_id",
    "idempotency_key": "recording_id",
    **dict.fromkeys(MODELS, "replay_id"),
}
"""Where rows of a recording can be, and by which column. An erasure is not finished before none of them has any."""

_ABSENT = " AND ".join(
    f"NOT EXISTS (SELECT 1 FROM {table} WHERE {table}.{column} = erased_recording.recording_id)"  # noqa: S608  # constants only
    for table, column in TABLES.items()
)

_NOTE_PURGED = text(
    """
    UPDATE erased_recording SET purged_at = coalesce(
        (SELECT max(finished_at) FROM job_history
         WHERE job_history.recording_id = erased_recording.recording_id AND kind = 'purge' AND state = 'done'),
        clock_timestamp()
    )
    WHERE erasure_id = :id AND recording_id = ANY(:ids) AND purged_at IS NULL
    """
)

_FINISH = text(
    """
    UPDATE erasure SET finished_at = clock_timestamp(), (purged_before, purged_after) = (
        SELECT coalesce(sum(before), 0), coalesce(sum((
            SELECT sum(purged) FROM tally WHERE tally.hour = touched.hour AND tally.tenant_id = erasure.tenant_id
        )), 0)
        FROM (
            SELECT date_trunc('hour', accepted_at, 'UTC') AS hour, min(purged_before) AS before
            FROM erased_recording WHERE erasure_id = erasure.id AND NOT on_hold GROUP BY 1
        ) AS touched
    )
    WHERE id = :id AND finished_at IS NULL AND collected_at IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM erased_recording WHERE erasure_id = erasure.id AND NOT on_hold AND verified_at IS NULL
    )
    RETURNING id
    """
)


async def running(db: Database) -> Sequence[Erasure]:
    """The erasures that are not finished, the oldest first."""
    async with db.reading() as session:
        wanted = select(Erasure).where(col(Erasure.finished_at).is_(None)).order_by(col(Erasure.id))
        return (await session.execute(wanted)).scalars().all()


async def uncollected(db: Database, erasure: Erasure, *, limit: int) -> Sequence[UUID]:
    """Up to `limit` recordings that the erasure covers and did not come by yet.

    Those that were deleted before and are not purged yet come last: they have an index of their own.
    """
    collected = select(col(ErasedRecording.recording_id)).where(
        col(ErasedRecording.erasure_id) == erasure.id, col(ErasedRecording.recording_id) == col(Recording.id)
    )
    wanted = (
        select(col(Recording.id))
        .where(
            *matching(erasure.tenant_id, erasure.subject, erasure.value),
            col(Recording.created_at) <= erasure.requested_at,
            ~collected.exists(),
        )
        .order_by(col(Recording.id))
        .limit(limit)
    )
    deleted_at = col(Recording.deleted_at)
    async with db.autocommit() as connection:
        for at_this_time in (deleted_at.is_(None), deleted_at.is_not(None)):
            if found := (await connection.execute(wanted.where(at_this_time))).scalars().all():
                return found
    return []


async def collect(db: Database, erasure_id: UUID, recording_id: UUID) -> None:
    """Delete a recording for an erasure, unless it is on hold, and note what there is to look for in the end.

    From here on no claim is made on it and nobody can upload to it, so storage gets no other objects of it than these.
    An Idempotency-Key that would lead to it is forgotten too.
    """
    async with db.transaction() as session:
        recording = await lifecycle.lock(session, recording_id, deleted=True)
        if recording is None or await session.get(ErasedRecording, (erasure_id, recording_id)) is not None:
            return  # purged meanwhile, or another dispatcher was faster
        note = ErasedRecording(
            erasure_id=erasure_id, recording_id=recording_id, accepted_at=recording.created_at
        )
        if recording.held_at is not None:
            note.on_hold = True
        else:
            if recording.deleted_at is None:
                await deletion.hide(session, recording)
                await session.refresh(recording)
            names = select(col(StoredObject.name)).where(col(StoredObject.recording_id) == recording_id)
            note.objects = list((await session.execute(names.order_by(col(StoredObject.name)))).scalars())
            note.deleted_at = recording.deleted_at
            note.purged_before = (await session.execute(_tallied(recording))).scalar_one()
            key = col(IdempotencyKey.recording_id) == recording_id
            await session.execute(delete(IdempotencyKey).where(key))
        session.add(note)


def _tallied(recording: Recording) -> Select[int]:
    """How many recordings of its tenant that were accepted in the same hour are purged."""
    return select(func.coalesce(func.sum(Tally.purged), 0)).where(
        col(Tally.hour) == hour_of(recording), col(Tally.tenant_id) == recording.tenant_id
    )


async def end_collecting(db: Database, erasure_id: UUID) -> None:
    """The erasure has come by everything that it covers: what is accepted from now on came after the request."""
    ended = update(Erasure).where(col(Erasure.id) == erasure_id, col(Erasure.collected_at).is_(None))
    async with db.transaction() as session:
        await session.execute(ended.values(collected_at=func.clock_timestamp()))


async def note_purged(db: Database, erasure_id: UUID, *, limit: int) -> Sequence[ErasedRecording]:
    """Up to `limit` recordings that are purged and not verified yet; the history of their jobs is forgotten."""
    remaining = select(col(Recording.id)).where(col(Recording.id) == col(ErasedRecording.recording_id))
    wanted = (
        select(ErasedRecording)
        .where(
            col(ErasedRecording.erasure_id) == erasure_id,
            col(ErasedRecording.on_hold).is_(False),
            col(ErasedRecording.verified_at).is_(None),
            ~remaining.exists(),
        )
        .order_by(col(ErasedRecording.recording_id))
        .limit(limit)
    )
    async with db.transaction() as session:
        purged = (await session.execute(wanted)).scalars().all()
        ids = [one.recording_id for one in purged]
        await session.execute(_NOTE_PURGED, {"id": erasure_id, "ids": ids})
        await ledger.forget(session, ids)
    return purged


async def verify(db: Database, erasure_id: UUID, recording_ids: Collection[UUID]) -> int:
    """These recordings are absent from storage: they are verified if no table has a row of them. Returns how many."""
    statement = text(
        f"""
        UPDATE erased_recording SET verified_at = clock_timestamp()
        WHERE erasure_id = :id AND recording_id = ANY(:ids) AND verified_at IS NULL AND {_ABSENT}
        RETURNING recording_id
        """  # noqa: S608  # constants only
    )
    async with db.transaction() as session:
        return len((await session.execute(statement, {"id": erasure_id, "ids": list(recording_ids)})).all())


async def finish(db: Database, erasure_id: UUID) -> bool:
    """Certify the erasure, once, when everything is verified. Says whether that was now."""
    async with db.transaction() as session:
        return (await session.execute(_FINISH, {"id": erasure_id})).one_or_none() is not None
