"""Masking after the fact: it is asked for, and what it made takes the place of what was kept before.

    asked ──no `process` is due or running──▶ due ──claim──▶ running ──commit──▶ done, or due again if more was asked

The status never changes. Readers see what was there before until the commit, and what it made from then on.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import ledger, lifecycle, mask_request, payload
from models.db import Database
from models.deletion import OnHold
from models.job import Job, JobKind, JobState, Priority
from models.ledger import Claim, ClaimLost
from models.object import PutObject, bury, publish
from models.recording import MaskRequest, Recording, Replay, Status, Tape
from models.tenancy import Project
from replay.client import Client
from replay.privacy import Privacy, Rules


class Progress(StrEnum):
    """How far the requests for a recording are."""

    PENDING = "pending"
    DONE = "done"  # none is open, and no row of what was there before is left
    FAILED = "failed"  # the job gave up; asking again tries again


@dataclass(frozen=True)
class Kept:
    """What there is to mask of a recording, and how. Without `tape`: whatever payload there is, or nothing."""

    privacy: Privacy
    recording: Recording
    tape: Tape | None
    requests: Sequence[UUID] = ()
    client: Client | None = None


@dataclass(frozen=True)
class NewTape:
    """A tape and its sidecar, masked, and put."""

    tape: PutObject
    sidecar: PutObject
    index: bytes


@dataclass(frozen=True)
class Masked:
    """What `mask` made of `kept`. `counts`: what was masked, by rule. `tape` and `payload` are what has changed of them:
    batches, compressed."""

    kept: Kept
    counts: Mapping[str, int]
    name: str | None
    navigations: list[dict[str, Any]]
    client: Client | None = None
    tape: NewTape | None = None
    payload: Mapping[int, bytes] = field(default_factory=dict)


async def ask(db: Database, tenant_id: UUID, recording_id: UUID, rules: Rules) -> Status | None:
    """Have what is kept of a recording masked by these rules and its project's policy. Returns its status.

    None when there is no such recording. Raises OnHold: what was kept before would be deleted.
    """
    async with db.transaction() as session:
        recording = await lifecycle.lock(session, recording_id)
        if recording is None or recording.tenant_id != tenant_id:
            return None
        if recording.held_at is not None:
            raise OnHold
        await mask_request.add(session, recording, rules)
        await mask_request.owe(session, recording)
        return recording.status


async def progress(db: Database, tenant_id: UUID, recording_id: UUID) -> tuple[Status, Progress] | None:
    """A recording's status, and how far the requests for it are; None when there is no such recording."""
    of_recording = col(Job.recording_id) == recording_id
    died = exists().where(of_recording, col(Job.kind) == JobKind.MASK, col(Job.state) == JobState.DEAD)
    asked = exists().where(col(MaskRequest.recording_id) == recording_id)
    old_rows = func.coalesce(col(Recording.rows_tape_name) != col(Recording.tape_name), False)
    wanted = select(col(Recording.status), asked, old_rows, died).where(
        col(Recording.id) == recording_id,
        col(Recording.tenant_id) == tenant_id,
        col(Recording.deleted_at).is_(None),
    )
    async with db.autocommit() as connection:
        found = (await connection.execute(wanted)).one_or_none()
    if found is None:
        return None
    status, is_open, has_old_rows, is_dead = found
    if not (is_open or has_old_rows):
        return status, Progress.DONE
    return status, Progress.FAILED if is_open and is_dead else Progress.PENDING


async def kept(db: Database, tenant_id: UUID, recording_id: UUID) -> Kept | None:
    """What there is to mask of a recording, by what was asked for until now; None when there is no such recording."""
    async with db.transaction() as session:
        # Requests first: whoever asked for the project's policy means the one of then, or a later one.
        requests = await mask_request.open_ones(session, recording_id)
        wanted = (
            select(Recording, Project, Tape, Replay)
            .join(Project, col(Project.id) == col(Recording.project_id))
            .outerjoin(Tape, col(Tape.recording_id) == col(Recording.id))
            .outerjoin(Replay, col(Replay.replay_id) == col(Recording.id))
            .where(
                col(Recording.id) == recording_id,
                col(Recording.tenant_id) == tenant_id,
                col(Recording.deleted_at).is_(None),
            )
        )
        found = (await session.execute(wanted)).one_or_none()
    if found is None:
        return None
    recording, project, tape, replay = found
    privacy = project.privacy.with_rules(msgspec.convert(one.rules, Rules) for one in requests)
    client = replay.client if replay else None
    return Kept(privacy, recording, tape, [one.id for one in requests], client)


async def commit_masked(db: Database, claim: Claim, masked: Masked) -> None:
    """What `mask` made takes the place of what it was made from; the requests that it read are done. Raises ClaimLost.

    Nothing changes when something else has taken that place, or `process` is about to: then it is to be done again. Nor
    does anything when the recording has come on hold: then it is to be done when that is released.
    """
    async with db.transaction() as session:
        recording = await lifecycle.lock(session, claim.recording_id)
        if recording is None:
            raise ClaimLost
        await ledger.hold(session, claim)
        as_before = recording.tape_name == masked.kept.recording.tape_name
        if as_before and await mask_request.is_owed(session, recording.id):
            said = recording.name, recording.navigations, masked.kept.client
            if masked.counts or (masked.name, masked.navigations, masked.client) != said:
                await _replace(session, recording, claim, masked)
            await mask_request.close(session, masked.kept.requests)
            if lifecycle.has_outdated_rows(recording):
                whose = {"tenant_id": recording.tenant_id, "recording_id": recording.id}
                await ledger.owe(session, JobKind.RELATE, **whose, priority=Priority.IN_BULK)
        if await mask_request.is_owed(session, recording.id):
            await ledger.continue_later(session, claim, delay_s=0)
        else:
            await ledger.finish(session, claim)


async def _replace(session: AsyncSession, recording: Recording, claim: Claim, masked: Masked) -> None:
    if new := masked.tape:
        await bury(session, [recording.tape_name, recording.sidecar_name])
        for put in (new.tape, new.sidecar):
            if not await publish(session, claim.id, put):
                raise ClaimLost
        recording.tape_name, recording.sidecar_name = new.tape.name, new.sidecar.name
        recording.account = {**(recording.account or {}), "stored_bytes": new.tape.size}
        index = update(Tape).where(col(Tape.recording_id) == recording.id)
        await session.execute(index.values(name=new.tape.name, index=new.index))
    if masked.client:
        client = update(Replay).where(col(Replay.replay_id) == recording.id)
        await session.execute(client.values(**msgspec.structs.asdict(masked.client)))
    for batch, data in masked.payload.items():
        await payload.replace(session, recording.id, batch, data)
    recording.masked = dict(Counter(recording.masked) + Counter(masked.counts))
    recording.name, recording.navigations = masked.name, masked.navigations
    await session.flush()
    await lifecycle.change(session, recording.id)
