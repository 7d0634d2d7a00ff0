"""Requests to mask what is kept of a recording, and the job that they are owed.

A request is open for as long as its row is there. The job `mask` is owed while one is open and no `process` is due or
running: that would make a tape of the payload as it was. So whatever ends a `process` looks here, and nobody has to
wait for it. Nor is it owed while the recording is open, since `process` is owed then as soon as that is closed, nor while
it is on hold, since it deletes what was kept before: whatever releases a hold looks here, too. Functions take the caller's session, which has locked the recording.
"""

from collections.abc import Collection, Sequence
from uuid import UUID

import msgspec
from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import ledger
from models.job import LIVE, Job, JobKind
from models.recording import MaskRequest, Recording
from replay.privacy import Rules


async def add(session: AsyncSession, recording: Recording, rules: Rules) -> None:
    """From now on somebody wants these rules applied, and the project's policy."""
    session.add(MaskRequest(recording_id=recording.id, rules=msgspec.to_builtins(rules)))
    await session.flush()


async def open_ones(session: AsyncSession, recording_id: UUID) -> Sequence[MaskRequest]:
    """The requests that are open, oldest first."""
    wanted = select(MaskRequest).where(col(MaskRequest.recording_id) == recording_id)
    return (await session.execute(wanted.order_by(col(MaskRequest.id)))).scalars().all()


async def close(session: AsyncSession, requests: Collection[UUID]) -> None:
    """What these wanted is done."""
    await session.execute(delete(MaskRequest).where(col(MaskRequest.id).in_(requests)))


async def is_owed(session: AsyncSession, recording_id: UUID) -> bool:
    """Whether there is something to do for `mask`, now."""
    of_process = (col(Job.kind) == JobKind.PROCESS) & col(Job.state).in_(LIVE)
    asked = exists().where(col(MaskRequest.recording_id) == recording_id)
    coming = exists().where(col(Job.recording_id) == recording_id, of_process)
    must_wait = col(Recording.held_at).is_not(None) | col(Recording.is_open)
    waits = exists().where(col(Recording.id) == recording_id, must_wait)
    return bool((await session.execute(select(asked & ~coming & ~waits))).scalar_one())


async def owe(session: AsyncSession, recording: Recording) -> None:
    """Add the job if it is owed. One that died before is tried again, with what was asked for since."""
    if await is_owed(session, recording.id):
        await ledger.owe(session, JobKind.MASK, tenant_id=recording.tenant_id, recording_id=recording.id)
