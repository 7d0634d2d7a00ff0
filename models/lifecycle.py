"""Every change of a recording's status, and the transactions of the job `process`.

    uploading ──first claim; with video: confirm──▶ processing ──everything owed is done──▶ ready
        │  ▲                                           │  ▲
        └──┼──────────────a job died───────────────────┴──┼──▶ failed
           └──retry while the video is awaited────────────┴─retry─┘

Each is a compare-and-set on the locked row. Lock order, everywhere: the recording, then its jobs. What belongs to the
video alone is in `models.video`, deletion in `models.deletion`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import ledger
from models.db import Database
from models.job import PUTS, JobKind
from models.ledger import Claim, ClaimLost
from models.object import ObjectKind, PutObject, bury, expect, object_name, publish
from models.recording import FailureCode, Payload, Recording, Status, Tape
from models.retry import Again, Dead, Failure, Policy
from replay.findings import from_video

TERMINAL = frozenset({Status.READY, Status.FAILED})


class NotFailed(Exception):
    """Only a failed recording can be retried."""


class PayloadExpired(Exception):
    """The payload, or the upload, of this failed recording is gone: there is nothing to work from."""


@dataclass(frozen=True)
class Work:
    """What a worker gets with a claim: the hold itself, and the names of the objects it may put."""

    claim: Claim
    objects: dict[ObjectKind, str]


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


def awaits_video(recording: Recording) -> bool:
    """Whether a video was announced and nobody has confirmed one yet. Whether it failed meanwhile is another matter."""
    return recording.has_video and recording.upload_generation is None


async def claim(
    db: Database, job_id: UUID, *, worker: str, lease_s: float, put_deadline_s: float
) -> Work | None:
    """Take hold of a due job; its recording begins processing. None: drop the message."""
    async with db.transaction() as session:
        found = await ledger.find(session, job_id)
        if found is None:
            return None
        recording_id, kind = found
        recording = await lock(session, recording_id, deleted=kind is JobKind.PURGE)
        if recording is None:
            return None
        claim = await ledger.claim(session, job_id, worker=worker, lease_s=lease_s)
        if claim is None:
            return None
        objects = {k: object_name(k, claim.tenant_id, claim.recording_id, claim.id) for k in PUTS[claim.kind]}
        for object_kind, name in objects.items():
            ends_s = lease_s + put_deadline_s
            await expect(
                session,
                object_kind,
                name,
                recording_id=claim.recording_id,
                claim_id=claim.id,
                ends_s=ends_s,
            )
        if kind is JobKind.PROCESS and recording.status is Status.UPLOADING and not awaits_video(recording):
            await change(session, recording.id, status=Status.PROCESSING)
        return Work(claim, objects)


async def commit_processed(db: Database, claim: Claim, done: Processed) -> Status:
    """The effects of `process`, once: tape and summary onto the recording, its payload gone. Raises ClaimLost."""
    async with db.transaction() as session:
        recording = await lock(session, claim.recording_id)
        if recording is None:
            raise ClaimLost
        await ledger.hold(session, claim)
        await bury(session, [recording.tape_name, recording.sidecar_name])
        for put in (done.tape, done.sidecar):
            if not await publish(session, claim.id, put):
                raise ClaimLost
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
        return await advance(session, recording, claim)


async def advance(session: AsyncSession, recording: Recording, claim: Claim) -> Status:
    """Flush what a job found out; ready when nothing is owed any more (a failed one stays failed); the job is done.

    The last step of the transaction that holds a job's effects. Raises ClaimLost.
    """
    if is_complete(recording):
        if recording.status not in TERMINAL:
            recording.status = Status.READY
        if recording.video and (recording.account or {}).get("stored"):
            found = from_video(
                duration_ms=recording.duration_ms or 0, video_ms=recording.video["duration_ms"]
            )
            recording.warnings = [*recording.warnings, *msgspec.to_builtins(found)]
    await session.flush()
    await change(session, recording.id)
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
        recording = await lock(session, recording_id, deleted=True)
        verdict = await ledger.settle(session, claim_id, failure, policy, expired_only=expired_only)
        if isinstance(verdict, Dead) and recording is not None:
            if failure.code is FailureCode.VIDEO_MISSING:  # what was confirmed is gone: another may come
                await ledger.cancel(session, recording_id, JobKind.VERIFY_VIDEO)
                await change(session, recording_id, upload_generation=None)
            await fail(session, recording, failure.code, failure.message)
        return verdict


async def fail(session: AsyncSession, recording: Recording, code: FailureCode, message: str) -> None:
    """The recording has failed, unless its status is terminal already. The first reason stays."""
    if recording.status not in TERMINAL:
        failure = {"failure_code": code, "failure_message": message, "failure_at": func.clock_timestamp()}
        await change(session, recording.id, status=Status.FAILED, **failure)


async def retry(db: Database, tenant_id: UUID, recording_id: UUID, *, video_wait_s: float) -> Status | None:
    """Put a failed recording back to work. Returns its status from now on: uploading while its video is awaited.

    None when there is no such recording. Raises NotFailed, PayloadExpired.
    """
    async with db.transaction() as session:
        recording = await lock(session, recording_id)
        if recording is None or recording.tenant_id != tenant_id:
            return None
        if recording.status is not Status.FAILED:
            raise NotFailed
        payload = select(col(Payload.batch)).where(col(Payload.recording_id) == recording_id).limit(1)
        if recording.tape_name is None and (await session.execute(payload)).first() is None:
            raise PayloadExpired
        if not awaits_video(recording):
            if recording.has_video and recording.video is None and recording.upload_name is None:
                raise PayloadExpired
            return await resume(session, recording, Status.PROCESSING)
        await ledger.add(
            session,
            JobKind.VIDEO_DEADLINE,
            tenant_id=tenant_id,
            recording_id=recording_id,
            delay_s=video_wait_s,
        )
        return await resume(session, recording, Status.UPLOADING)


async def resume(session: AsyncSession, recording: Recording, status: Status, **values: Any) -> Status:
    """Take up what is owed to a recording again: its dead jobs are due, its failure is forgotten."""
    await ledger.revive(session, recording.id)
    owed = [JobKind.PROCESS] if recording.tape_name is None else []
    if recording.has_video and recording.video is None and status is Status.PROCESSING:
        owed.append(JobKind.VERIFY_VIDEO)
    for kind in owed:
        await ledger.add(session, kind, tenant_id=recording.tenant_id, recording_id=recording.id)
    forgotten = {"failure_code": None, "failure_message": None, "failure_at": None}
    await change(session, recording.id, status=status, **forgotten, **values)
    return status


async def lock(session: AsyncSession, recording_id: UUID, *, deleted: bool = False) -> Recording | None:
    """The recording, locked until the transaction ends; None when it is gone or, unless asked for, deleted."""
    wanted = select(Recording).where(col(Recording.id) == recording_id).with_for_update()
    if not deleted:
        wanted = wanted.where(col(Recording.deleted_at).is_(None))
    return (await session.execute(wanted)).scalar_one_or_none()


async def change(session: AsyncSession, recording_id: UUID, **values: Any) -> None:
    """Update the locked row; `updated_at` never goes back, whatever the clock does."""
    newer = func.greatest(func.clock_timestamp(), col(Recording.updated_at) + timedelta(milliseconds=1))
    await session.execute(
        update(Recording).where(col(Recording.id) == recording_id).values(updated_at=newer, **values)
    )


def _ended_at(started_at: datetime, duration_ms: int) -> datetime | None:
    """None past the year 9999: event times may be anything that JavaScript can count."""
    try:
        return started_at + timedelta(milliseconds=duration_ms)
    except OverflowError:
        return None
