"""Every change of a recording's status.

    uploading ──first claim, or closed; with video: confirm──▶ processing ──everything owed is done──▶ ready
        │  ▲                                           │  ▲
        └──┼──────────────a job died───────────────────┴──┼──▶ failed
           └──retry while the video is awaited────────────┴─retry─┘

Each is a compare-and-set on the locked row. Lock order, everywhere: the recording, then its jobs. What belongs to one
job is where its transactions are: `models.processing`, `models.video`, `models.relating`, `models.masking`, `models.deletion`.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import ledger, mask_request, queues, status_change
from models.attempt import KEPT
from models.db import Database, Statement
from models.ids import new_id
from models.job import BESIDE, IMMORTAL, PUTS, JobKind, JobState
from models.ledger import Claim
from models.object import ObjectKind, ObjectState, bury, object_name
from models.recording import FailureCode, Payload, Recording, Source, Status
from models.retry import Again, Dead, Failure, Policy
from models.status_change import Why
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


def is_complete(recording: Recording) -> bool:
    """Whether everything that is owed to a recording has been done. Reads only columns of its locked row."""
    return (
        recording.tape_name is not None
        and (not recording.has_video or recording.video is not None)
        and (recording.source is not Source.REPLAY or has_rows(recording))
    )


def has_rows(recording: Recording) -> bool:
    """Whether there are rows of what can be read of it now."""
    return recording.tape_name is not None and recording.rows_tape_name == recording.tape_name


def has_outdated_rows(recording: Recording) -> bool:
    """Whether there are rows of what another tape has replaced: hidden, and to be removed, for they may hold secrets."""
    return recording.rows_tape_name not in (None, recording.tape_name)


def awaits_video(recording: Recording) -> bool:
    """Whether a video was announced and nobody has confirmed one yet. Whether it failed meanwhile is another matter."""
    return recording.has_video and recording.upload_generation is None


# The recording is locked before its job, whatever the planner does: the job's row is only touched once `locked` gave a row.
# Both are looked at again as they are when their lock is there, as READ COMMITTED does.
_CLAIM = Statement(
    f"""
    WITH asked AS (
        SELECT kind, tenant_id, recording_id, {queues.TURN_OF} AS turn_of FROM job
        WHERE id = :job_id AND state = '{JobState.DUE}' AND due_at <= clock_timestamp() AND {queues.MAY_BEGIN}
    ), locked AS (
        SELECT recording.id, recording.status FROM recording JOIN asked ON recording.id = asked.recording_id
        WHERE (recording.deleted_at IS NULL OR asked.kind = '{JobKind.PURGE}')
          AND (turn_of IS NULL OR (CAST(:in_turn AS boolean) AND {queues.HAS_ROOM}))
        FOR UPDATE OF recording
    ), claimed AS (
        UPDATE job SET
            state = '{JobState.RUNNING}', attempts = attempts + 1, claims = claims + 1, claim_id = :claim_id, worker = :worker,
            claimed_at = clock_timestamp(),
            lease_until = clock_timestamp() + make_interval(secs => CAST(:lease_s AS float))
        FROM locked
        WHERE job.id = :job_id AND job.state = '{JobState.DUE}' AND job.due_at <= clock_timestamp()
        RETURNING job.*
    ), begun AS (
        UPDATE recording SET
            status = '{Status.PROCESSING}',
            updated_at = greatest(clock_timestamp(), recording.updated_at + interval '1 ms')
        FROM claimed
        WHERE recording.id = claimed.recording_id AND claimed.kind = '{JobKind.PROCESS}'
          AND recording.status = '{Status.UPLOADING}'
          AND (NOT recording.has_video OR recording.upload_generation IS NOT NULL)
        RETURNING recording.id, recording.updated_at
    ), told AS (
        INSERT INTO status_change (recording_id, at, status, why)
        SELECT id, updated_at, '{Status.PROCESSING}', '{Why.CLAIMED}' FROM begun
    ), noted AS (
        INSERT INTO attempt (job_id, number, tenant_id, recording_id, kind, worker, due_at, started_at)
        SELECT id, claims, tenant_id, recording_id, kind, worker, due_at, claimed_at FROM claimed
    ), forgotten AS (
        DELETE FROM attempt USING claimed
        WHERE attempt.job_id = claimed.id AND attempt.number <= claimed.claims - {KEPT}
    ), expected AS (
        INSERT INTO object (name, kind, state, recording_id, claim_id, expires_at)
        SELECT format(put.name, claimed.tenant_id, claimed.recording_id), put.kind, '{ObjectState.PENDING}',
               claimed.recording_id, claimed.claim_id,
               clock_timestamp() + make_interval(secs => CAST(:object_s AS float))
        FROM claimed JOIN unnest(CAST(:job_kinds AS text[]), CAST(:kinds AS text[]), CAST(:names AS text[]))
             AS put (job_kind, kind, name) ON put.job_kind = claimed.kind
    )
    SELECT claimed.id, asked.kind, asked.tenant_id, asked.recording_id, attempts, losses, turn_of,
           extract(epoch FROM claimed_at - due_at)::float AS waited_s, trace
    FROM asked LEFT JOIN claimed ON true
    """  # noqa: S608  # constants only
)


async def claim(
    db: Database,
    job_id: UUID,
    *,
    worker: str,
    lease_s: float,
    put_deadline_s: float,
    tenant_running_max: int = 0,
) -> Work | None:
    """Take hold of a due job: one statement. Its recording begins processing, and its objects may be put from now on.

    None when it is not due (any more), may not begin (`models.queues`), or its recording was deleted: drop the message.
    """
    claim_id = new_id()
    puts = [(kind, put, object_name(put, "%1$s", "%2$s", claim_id)) for kind in JobKind for put in PUTS[kind]]
    job_kinds, kinds, names = zip(*puts, strict=True)
    values = {
        "job_id": job_id,
        "claim_id": claim_id,
        "worker": worker,
        "lease_s": lease_s,
        "object_s": lease_s + put_deadline_s,
        "job_kinds": job_kinds,
        "kinds": kinds,
        "names": names,
        "tenant_running_max": tenant_running_max,
    }
    async with db.driver() as connection:
        job = await queues.in_turn(connection, _CLAIM, values)
    if job is None or job["id"] is None:
        return None
    kind, tenant_id, recording_id = JobKind(job["kind"]), job["tenant_id"], job["recording_id"]
    rest = job["attempts"], job["losses"], job["waited_s"], job["trace"]
    claim = Claim(claim_id, job_id, kind, tenant_id, recording_id, *rest)
    return Work(claim, {put: object_name(put, tenant_id, recording_id, claim_id) for put in PUTS[kind]})


async def advance(session: AsyncSession, recording: Recording, claim: Claim) -> Status:
    """Flush what a job found out; ready when nothing is owed any more (a failed one stays failed); the job is done.

    The last step of the transaction that holds a job's effects. Raises ClaimLost.
    """
    becomes: dict[str, Any] = {}
    if is_complete(recording):
        if recording.status not in TERMINAL:
            becomes = {"status": Status.READY, "why": Why.DONE}
        if recording.video and (recording.account or {}).get("stored"):
            found = from_video(
                duration_ms=recording.duration_ms or 0, video_ms=recording.video["duration_ms"]
            )
            new = [one for one in msgspec.to_builtins(found) if one not in recording.warnings]
            recording.warnings = [*recording.warnings, *new]  # `relate` comes by again and again
    await session.flush()
    await change(session, recording.id, **becomes)
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
        settled = await ledger.settle(
            session,
            claim_id,
            failure,
            policy,
            # who removes rows that must not stay does not give up
            immortal=IMMORTAL | {JobKind.RELATE} if recording and has_outdated_rows(recording) else IMMORTAL,
            expired_only=expired_only,
        )
        if settled is None:
            return None
        kind, verdict = settled
        if kind is JobKind.RELATE:
            failure = replace(failure, code=FailureCode.ROWS_FAILED)
        if isinstance(verdict, Dead) and recording is not None and is_fatal(kind, recording):
            if failure.code is FailureCode.VIDEO_MISSING:  # what was confirmed is gone: another may come
                await ledger.cancel(session, recording_id, JobKind.VERIFY_VIDEO)
                await change(session, recording_id, upload_generation=None)
            elif failure.code is FailureCode.VIDEO_TOO_LARGE and recording.held_at is None:
                # not worth its storage: it would fail again
                await bury(session, [recording.upload_name])
                await change(session, recording_id, upload_name=None)
            await fail(session, recording, failure.code, failure.message)
            await mask_request.owe(session, recording)
        return verdict


def is_fatal(kind: JobKind, recording: Recording) -> bool:
    """Whether a recording fails with a dead job of this kind, unless its status is terminal."""
    return kind not in BESIDE and (kind is not JobKind.RELATE or recording.source is Source.REPLAY)


async def fail(session: AsyncSession, recording: Recording, code: FailureCode, message: str) -> None:
    """The recording has failed, unless its status is terminal already. The first reason stays."""
    if recording.status not in TERMINAL:
        failure = {"failure_code": code, "failure_message": message, "failure_at": func.clock_timestamp()}
        await change(session, recording.id, status=Status.FAILED, why=Why.FAILED, **failure)


async def retry(db: Database, tenant_id: UUID, recording_id: UUID, *, video_wait_s: float) -> Status | None:
    """Put a failed recording back to work. Returns its status from now on: uploading while its video is awaited.

    None when there is no such recording. Raises NotFailed, PayloadExpired.
    """
    async with db.transaction() as session:
        recording = await lock(session, recording_id)
        if recording is None or recording.tenant_id != tenant_id:
            return None
        return await retry_locked(session, recording, video_wait_s=video_wait_s)


async def retry_locked(session: AsyncSession, recording: Recording, *, video_wait_s: float) -> Status:
    """As `retry`, of a locked recording."""
    recording_id, tenant_id = recording.id, recording.tenant_id
    if recording.status is not Status.FAILED:
        raise NotFailed
    payload = select(col(Payload.batch)).where(col(Payload.recording_id) == recording_id).limit(1)
    if recording.tape_name is None and (await session.execute(payload)).first() is None:
        raise PayloadExpired
    if not awaits_video(recording):
        if recording.has_video and recording.video is None and recording.upload_name is None:
            raise PayloadExpired
        return await resume(session, recording)
    await ledger.add(
        session,
        JobKind.VIDEO_DEADLINE,
        tenant_id=tenant_id,
        recording_id=recording_id,
        delay_s=video_wait_s,
    )
    return await resume(session, recording)


async def resume(
    session: AsyncSession, recording: Recording, *, upload_generation: str | None = None
) -> Status:
    """Take up what is owed to a recording again: its dead jobs are due, its failure is forgotten.

    With `upload_generation` its video is confirmed. Returns its status: uploading while anything is expected of the client.
    """
    await ledger.revive(session, recording.id)
    if upload_generation:
        recording.upload_generation = upload_generation
    status = Status.UPLOADING if recording.is_open or awaits_video(recording) else Status.PROCESSING
    owed = [JobKind.PROCESS] if recording.tape_name is None and not recording.is_open else []
    if recording.has_video and recording.video is None and not awaits_video(recording):
        owed.append(JobKind.VERIFY_VIDEO)
    if recording.source is Source.REPLAY and recording.tape_name is not None and not has_rows(recording):
        owed.append(JobKind.RELATE)
    for kind in owed:
        await ledger.add(session, kind, tenant_id=recording.tenant_id, recording_id=recording.id)
    forgotten = {"failure_code": None, "failure_message": None, "failure_at": None}
    await session.flush()
    why = Why.CONFIRMED if upload_generation else Why.RETRIED
    await change(session, recording.id, status=status, why=why, **forgotten)
    return status


async def close(session: AsyncSession, recording: Recording) -> Status:
    """A locked recording that is open takes no more batches: one tape is to be made of those that it has."""
    status = recording.status
    if status is Status.UPLOADING and not awaits_video(recording):
        status = Status.PROCESSING
    await ledger.add(session, JobKind.PROCESS, tenant_id=recording.tenant_id, recording_id=recording.id)
    await change(session, recording.id, is_open=False, status=status, why=Why.CLOSED)
    return status


async def lock(session: AsyncSession, recording_id: UUID, *, deleted: bool = False) -> Recording | None:
    """The recording, locked until the transaction ends; None when it is gone or, unless asked for, deleted."""
    wanted = select(Recording).where(col(Recording.id) == recording_id).with_for_update()
    if not deleted:
        wanted = wanted.where(col(Recording.deleted_at).is_(None))
    return (await session.execute(wanted)).scalar_one_or_none()


async def change(session: AsyncSession, recording_id: UUID, *, why: Why | None = None, **values: Any) -> None:
    """Update the locked row; `updated_at` never goes back, whatever the clock does. With a `status`: say `why`."""
    if why is not None:
        await status_change.note(session, recording_id, values["status"], why)
    newer = func.greatest(func.clock_timestamp(), col(Recording.updated_at) + timedelta(milliseconds=1))
    await session.execute(
        update(Recording).where(col(Recording.id) == recording_id).values(updated_at=newer, **values)
    )
