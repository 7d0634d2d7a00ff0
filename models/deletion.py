"""Deleting a recording: hidden from every read at once, then purged, and counted, once. Unless it is on hold."""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import attempt, ledger, lifecycle, mask_request, status_change
from models.db import Database
from models.job import JobKind
from models.ledger import Claim, ClaimLost
from models.object import StoredObject, bury
from models.recording import Batch, MaskRequest, Payload, Recording, Replay, Tally, Tape, hour_of


class OnHold(Exception):
    """The recording is on hold: nothing deletes it."""


async def delete_recording(db: Database, tenant_id: UUID, recording_id: UUID) -> bool:
    """Hide a recording from every read at once, and owe it a purge. False when there is none. Raises OnHold."""
    async with db.transaction() as session:
        recording = await lifecycle.lock(session, recording_id)
        if recording is None or recording.tenant_id != tenant_id:
            return False
        await hide(session, recording)
        return True


async def hide(session: AsyncSession, recording: Recording) -> None:
    """From the commit on nobody reads this locked recording, and a purge is owed to it. Raises OnHold."""
    if recording.held_at is not None:
        raise OnHold
    await lifecycle.change(session, recording.id, deleted_at=func.clock_timestamp(), is_open=False)
    await ledger.cancel(session, recording.id)
    stored = (recording.tape_name, recording.sidecar_name, recording.video_name, recording.upload_name)
    await bury(session, stored)
    for table in (Tape, Payload, MaskRequest):
        await session.execute(delete(table).where(col(table.recording_id) == recording.id))
    await session.execute(delete(Replay).where(col(Replay.replay_id) == recording.id))
    await ledger.add(session, JobKind.PURGE, tenant_id=recording.tenant_id, recording_id=recording.id)


async def hold(db: Database, tenant_id: UUID, recording_id: UUID) -> bool:
    """Nothing deletes this recording any more. Again: it is on hold since the first time. False when there is none."""
    async with db.transaction() as session:
        recording = await lifecycle.lock(session, recording_id)
        if recording is None or recording.tenant_id != tenant_id:
            return False
        recording.held_at = recording.held_at or datetime.now(UTC)
        return True


async def release(db: Database, tenant_id: UUID, recording_id: UUID) -> bool:
    """The recording may be deleted again, and is when its time is over. False when there is none."""
    async with db.transaction() as session:
        recording = await lifecycle.lock(session, recording_id)
        if recording is None or recording.tenant_id != tenant_id:
            return False
        recording.held_at = None
        await session.flush()
        await mask_request.owe(session, recording)
        return True


async def commit_purged(db: Database, claim: Claim) -> float:
    """The objects of a deleted recording are gone: remove its row and count it, once. Raises ClaimLost.

    Returns 0 when that is done, else the seconds after which the rest can be purged: an object that was being put
    when the recording was deleted, or may yet be uploaded, is only gone for good once its put deadline is over.
    """
    async with db.transaction() as session:
        recording = await lifecycle.lock(session, claim.recording_id, deleted=True)
        if recording is None:
            raise ClaimLost
        await ledger.hold(session, claim)
        left = select(func.extract("epoch", func.max(col(StoredObject.expires_at)) - func.clock_timestamp()))
        wait_s = (
            await session.execute(left.where(col(StoredObject.recording_id) == recording.id))
        ).scalar_one()
        if wait_s is not None:
            delay_s = max(float(wait_s), 0) + 1
            await ledger.continue_later(session, claim, delay_s=delay_s)
            return delay_s
        await session.execute(
            insert(Tally)
            .values(hour=hour_of(recording), tenant_id=recording.tenant_id, status=recording.status, purged=1)
            .on_conflict_do_update(
                index_elements=["hour", "tenant_id", "status"], set_={"purged": col(Tally.purged) + 1}
            )
        )
        await session.execute(delete(Batch).where(col(Batch.recording_id) == recording.id))
        await attempt.forget_of(session, [recording.id])
        await status_change.forget(session, recording.id)
        await session.execute(delete(Recording).where(col(Recording.id) == recording.id))
        await ledger.finish(session, claim)
        return 0
