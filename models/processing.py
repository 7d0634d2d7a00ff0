"""What the job `process` found out becomes the recording's: the transaction of its effects."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import ledger, lifecycle, mask_request
from models.db import Database
from models.job import JobKind
from models.ledger import Claim, ClaimLost
from models.object import PutObject, bury, publish
from models.recording import Payload, Recording, Source, Status, Tape
from models.tenancy import Project


@dataclass(frozen=True)
class Processed:
    """What `process` found out and put: see the columns of Recording. `batches` are the payload batches it read.

    `started_at` is the time of the first event, None where that is no time of a calendar.
    """

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
    started_at: datetime | None
    duration_ms: int
    navigations: list[dict[str, Any]]


async def commit_processed(db: Database, claim: Claim, done: Processed) -> Status:
    """The effects of `process`, once: tape and summary onto the recording, its payload gone. Raises ClaimLost."""
    async with db.transaction() as session:
        recording = await lifecycle.lock(session, claim.recording_id)
        if recording is None:
            raise ClaimLost
        await ledger.hold(session, claim)
        await bury(session, [recording.tape_name, recording.sidecar_name])
        for put in (done.tape, done.sidecar):
            if not await publish(session, claim.id, put):
                raise ClaimLost
        recording.tape_name, recording.sidecar_name = done.tape.name, done.sidecar.name
        recording.account, recording.summary, recording.warnings = done.account, done.summary, done.warnings
        recording.masked = dict(Counter(recording.masked) + Counter(done.masked))  # its payload's, of before
        recording.playable = done.playable
        recording.event_count, recording.navigations = done.event_count, done.navigations
        recording.duration_ms = done.duration_ms
        if (
            recording.source is Source.STREAM and done.started_at
        ):  # its first batch may have come after others
            recording.started_at = done.started_at
        recording.ended_at = _ended_at(recording.started_at, done.duration_ms)
        tape = {"name": done.tape.name, "index": done.index}
        await session.execute(
            insert(Tape)
            .values(recording_id=recording.id, **tape)
            .on_conflict_do_update(index_elements=["recording_id"], set_=tape)
        )
        read = (col(Payload.recording_id) == recording.id) & col(Payload.batch).in_(done.batches)
        await session.execute(delete(Payload).where(read))
        if recording.source is Source.REPLAY or await _is_relational(session, recording):
            await ledger.owe(
                session, JobKind.RELATE, tenant_id=recording.tenant_id, recording_id=recording.id
            )
        status = await lifecycle.advance(session, recording, claim)
        await mask_request.owe(session, recording)
        return status


async def _is_relational(session: AsyncSession, recording: Recording) -> bool:
    wanted = select(col(Project.relational)).where(col(Project.id) == recording.project_id)
    return bool((await session.execute(wanted)).scalar_one())


def _ended_at(started_at: datetime, duration_ms: int) -> datetime | None:
    """None past the year 9999: event times may be anything that JavaScript can count."""
    try:
        return started_at + timedelta(milliseconds=duration_ms)
    except OverflowError:
        return None
