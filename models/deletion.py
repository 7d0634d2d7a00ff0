"""Deleting a recording: hidden from every read at once, then purged, and counted, once."""

from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from models import ledger, lifecycle
from models.db import Database
from models.job import JobKind
from models.ledger import Claim, ClaimLost
from models.object import StoredObject, bury
from models.recording import MaskRequest, Payload, Recording, Tally, Tape


async def delete_recording(db: Database, tenant_id: UUID, recording_id: UUID) -> bool:
    """Hide a recording from every read at once, and owe it a purge. False when there is none."""
    async with db.transaction() as session:
        recording = await lifecycle.lock(session, recording_id)
        if recording is None or recording.tenant_id != tenant_id:
            return False
        await lifecycle.change(session, recording_id, deleted_at=func.clock_timestamp())
        await ledger.cancel(session, recording_id)
        stored = (recording.tape_name, recording.sidecar_name, recording.video_name, recording.upload_name)
        await bury(session, stored)
        await session.execute(delete(Tape).where(col(Tape.recording_id) == recording_id))
        await session.execute(delete(Payload).where(col(Payload.recording_id) == recording_id))
        await session.execute(delete(MaskRequest).where(col(MaskRequest.recording_id) == recording_id))
        await ledger.add(session, JobKind.PURGE, tenant_id=tenant_id, recording_id=recording_id)
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
        hour = recording.created_at.replace(minute=0, second=0, microsecond=0)
        await session.execute(
            insert(Tally)
            .values(hour=hour, tenant_id=recording.tenant_id, status=recording.status, purged=1)
            .on_conflict_do_update(
                index_elements=["hour", "tenant_id", "status"], set_={"purged": col(Tally.purged) + 1}
            )
        )
        await session.execute(delete(Recording).where(col(Recording.id) == recording.id))
        await ledger.finish(session, claim)
        return 0
