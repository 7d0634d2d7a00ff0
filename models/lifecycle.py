"""Every change of a recording, each one transaction.

    uploading ──first claim──▶ processing ──everything owed is done──▶ ready
        │                          │  ▲
        └──────a job died──────────┴──┼──▶ failed
                                      └─retry─┘

Every change of status is a compare-and-set on the locked row. Lock order, everywhere: the recording, then its jobs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import ledger
from models.db import Database
from models.job import PUTS, JobKind
from models.ledger import Claim, ClaimLost
from models.object import ObjectKind, ObjectState, StoredObject, object_name
from models.recording import Payload, Recording, Status, Tally, Tape
from models.retry import Again, Dead, Failure, Policy

TERMINAL = frozenset({Status.READY, Status.FAILED})


class NotFailed(Exception):
    """Only a failed recording can be retried."""


class PayloadExpired(Exception):
    """The payload of this failed recording is gone: there is nothing to work from."""


@dataclass(frozen=True)
class Work:
    """What a worker gets with a claim: the hold itself, and the names of the objects it may put."""

    claim: Claim
    objects: dict[ObjectKind, str]


@dataclass(frozen=True)
class PutObject:
    """An object as storage reported it after the put. Size in bytes."""

    name: str
    size: int
    crc32c: int


@dataclass(frozen=True)
class Processed:
    """What `process` found out and put: see the columns of Recording. `batches` are the payload batches it read."""

    batches: Sequence[int]
    tape: PutObject
    sidecar: PutObject
    index: bytes
    account: dict[str, Any]
    summary: dict[str, Any]
    warnings: list[dict[str, Any]]
    masked: dict[str, int]
    playable: bool
    event_count: int
    duration_ms: int
    navigations: list[dict[str, Any]]


def is_complete(recording: Recording) -> bool:
    """Whether everything that is owed to a recording has been done. Reads only columns of its locked row."""
    return recording.tape_name is not None and (not recording.has_video or recording.video is not None)


async def claim(
    db: Database, job_id: UUID, *, worker: str, lease_s: float, put_deadline_s: float
) -> Work | None:
    """Take hold of a due job; its recording begins processing. None: drop the message."""
    async with db.transaction() as session:
        found = await ledger.find(session, job_id)
        if found is None:
            return None
        recording_id, kind = found
        recording = await _lock(session, recording_id, deleted=kind is JobKind.PURGE)
        if recording is None:
            return None
        claim = await ledger.claim(session, job_id, worker=worker, lease_s=lease_s)
        if claim is None:
            return None
        objects = {k: object_name(k, claim.tenant_id, claim.recording_id, claim.id) for k in PUTS[claim.kind]}
        for object_kind, name in objects.items():
            expires_at = func.clock_timestamp() + timedelta(seconds=lease_s + put_deadline_s)
            await session.execute(
                insert(StoredObject).values(
                    name=name,
                    kind=object_kind,
                    state=ObjectState.PENDING,
                    recording_id=claim.recording_id,
                    claim_id=claim.id,
                    expires_at=expires_at,
                )
            )
        if kind is JobKind.PROCESS and recording.status is Status.UPLOADING:
            await _set(session, recording.id, status=Status.PROCESSING)
        return Work(claim, objects)


async def commit_processed(db: Database, claim: Claim, done: Processed) -> Status:
    """The effects of `process`, once: tape and summary onto the recording, its payload gone. Raises ClaimLost."""
    async with db.transaction() as session:
        recording = await _lock(session, claim.recording_id)
        if recording is None:
            raise ClaimLost
        await ledger.hold(session, claim)
        await _bury(session, recording.tape_name, recording.sidecar_name)
        for put in (done.tape, done.sidecar):
            await _make_live(session, claim, put)
        recording.tape_name, recording.sidecar_name = done.tape.name, done.sidecar.name
        recording.account, recording.summary, recording.warnings = done.account, done.summary, done.warnings
        recording.masked, recording.playable = done.masked, done.playable
        recording.event_count, recording.navigations = done.event_count, done.navigations
        recording.duration_ms = done.duration_ms
        recording.ended_at = _ended_at(recording.started_at, done.duration_ms)
        tape = {"name": done.tape.name, "index": done.index}
        await session.execute(
            insert(Tape)
            .values(recording_id=recording.id, **tape)
            .on_conflict_do_update(index_elements=["recording_id"], set_=tape)
        )
        read = (col(Payload.recording_id) == recording.id) & col(Payload.batch).in_(done.batches)
        await session.execute(delete(Payload).where(read))
        _advance(recording)
        await session.flush()
        await _set(session, recording.id)
        await ledger.finish(session, claim)
        return recording.status


async def settle(
    db: Database,
    recording_id: UUID,
    claim_id: UUID,
    failure: Failure,
    policy: Policy,
    *,
    expired_only: bool = False,
) -> Again | Dead | None:
    """An attempt ended badly: the job is due again, or dead and the recording failed. None: the claim is not ours."""
    async with db.transaction() as session:
        recording = await _lock(session, recording_id, deleted=True)
        verdict = await ledger.settle(session, claim_id, failure, policy, expired_only=expired_only)
        if isinstance(verdict, Dead) and recording is not None and recording.status not in TERMINAL:
            await _set(
                session,
                recording.id,
                status=Status.FAILED,
                failure_code=failure.code,
                failure_message=failure.message,
                failure_at=func.clock_timestamp(),
            )
        return verdict


async def retry(db: Database, tenant_id: UUID, recording_id: UUID) -> bool:
    """Put a failed recording back to work. False when there is none. Raises NotFailed, PayloadExpired."""
    async with db.transaction() as session:
        recording = await _lock(session, recording_id)
        if recording is None or recording.tenant_id != tenant_id:
            return False
        if recording.status is not Status.FAILED:
            raise NotFailed
        payload = select(col(Payload.batch)).where(col(Payload.recording_id) == recording_id).limit(1)
        if recording.tape_name is None and (await session.execute(payload)).first() is None:
            raise PayloadExpired
        if await ledger.revive(session, recording_id) == 0:
            await ledger.add(session, JobKind.PROCESS, tenant_id=tenant_id, recording_id=recording_id)
        await _set(
            session,
            recording_id,
            status=Status.PROCESSING,
            failure_code=None,
            failure_message=None,
            failure_at=None,
        )
        return True


async def delete_recording(db: Database, tenant_id: UUID, recording_id: UUID) -> bool:
    """Hide a recording from every read at once, and owe it a purge. False when there is none."""
    async with db.transaction() as session:
        recording = await _lock(session, recording_id)
        if recording is None or recording.tenant_id != tenant_id:
            return False
        await _set(session, recording_id, deleted_at=func.clock_timestamp())
        await ledger.cancel(session, recording_id)
        await _bury(session, recording.tape_name, recording.sidecar_name)
        await session.execute(delete(Tape).where(col(Tape.recording_id) == recording_id))
        await session.execute(delete(Payload).where(col(Payload.recording_id) == recording_id))
        await ledger.add(session, JobKind.PURGE, tenant_id=tenant_id, recording_id=recording_id)
        return True


async def commit_purged(db: Database, claim: Claim) -> float:
    """The objects of a deleted recording are gone: remove its row and count it, once. Raises ClaimLost.

    Returns 0 when that is done, else the seconds after which the rest can be purged: an object that was being put
    when the recording was deleted is only gone for good once its put deadline is over.
    """
    async with db.transaction() as session:
        recording = await _lock(session, claim.recording_id, deleted=True)
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


def _ended_at(started_at: datetime, duration_ms: int) -> datetime | None:
    """None past the year 9999: event times may be anything that JavaScript can count."""
    try:
        return started_at + timedelta(milliseconds=duration_ms)
    except OverflowError:
        return None


def _advance(recording: Recording) -> None:
    """Make a recording ready when nothing is owed to it any more. A failed one stays failed."""
    if recording.status in (Status.UPLOADING, Status.PROCESSING) and is_complete(recording):
        recording.status = Status.READY


async def _lock(session: AsyncSession, recording_id: UUID, *, deleted: bool = False) -> Recording | None:
    wanted = select(Recording).where(col(Recording.id) == recording_id).with_for_update()
    if not deleted:
        wanted = wanted.where(col(Recording.deleted_at).is_(None))
    return (await session.execute(wanted)).scalar_one_or_none()


async def _set(session: AsyncSession, recording_id: UUID, **values: Any) -> None:
    """Update the locked row; `updated_at` never goes back, whatever the clock does."""
    newer = func.greatest(func.clock_timestamp(), col(Recording.updated_at) + timedelta(milliseconds=1))
    await session.execute(
        update(Recording).where(col(Recording.id) == recording_id).values(updated_at=newer, **values)
    )


async def _make_live(session: AsyncSession, claim: Claim, put: PutObject) -> None:
    """The object that this claim put is referred to from now on. Raises ClaimLost when it was swept meanwhile."""
    statement = (
        update(StoredObject)
        .where(
            col(StoredObject.name) == put.name,
            col(StoredObject.claim_id) == claim.id,
            col(StoredObject.state) == ObjectState.PENDING,
        )
        .values(state=ObjectState.LIVE, size=put.size, crc32c=put.crc32c)
        .returning(col(StoredObject.name))
    )
    if (await session.execute(statement)).one_or_none() is None:
        raise ClaimLost


async def _bury(session: AsyncSession, *names: str | None) -> None:
    """Nothing refers to these objects any more: they may be deleted now."""
    statement = (
        update(StoredObject)
        .where(col(StoredObject.name).in_([name for name in names if name]))
        .values(state=ObjectState.DEAD, expires_at=func.clock_timestamp())
    )
    await session.execute(statement)
