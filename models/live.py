"""Recordings that take batches: live sessions, and uploads in chunks. Opened by `models.accept`, closed once, here.

    open ──finish, the last batch, a limit, or idle for long──▶ closed: `process` makes one tape of all batches

A batch is appended under a shared lock of the recording's row, which it never updates, so that any number come at once;
closing locks it for itself, so that every batch is either in the tape or was told that it came too late. The job `close`
looks when the session may have been idle for long enough, and comes back while it has not. If it looks late, the deck was
away, and nobody could send anything: clients get a while to come back, once. So they do after an absence of `web`.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import ledger, lifecycle
from models.db import Database, Statement
from models.job import Job, JobKind
from models.ledger import Claim, ClaimLost
from models.payload import cut
from models.processes import ABSENT_S, Presence, Role
from models.recording import Batch, Recording, Source, Status

AT_ONCE = 16  # so many batches at the same moment are no surprise
AWAY_S = 30  # a look that comes so late does because the deck was away, or at its limits
RETURN_S = 300  # that clients have to come back then, or as long as they may be idle


@dataclass(frozen=True)
class LiveTerms:
    """When an open recording is closed: nothing came for `idle_s` seconds, or it is as old or as large as it may be."""

    idle_s: float
    max_s: float
    max_bytes: int

    @property
    def first_look_s(self) -> float:
        """After so long one that was opened now is looked at."""
        return min(self.idle_s, self.max_s)


DEFAULT_TERMS = LiveTerms(idle_s=1800, max_s=86400, max_bytes=512 * 1024 * 1024)


@dataclass(frozen=True)
class NewBatch:
    """One batch: a zstd-compressed envelope, its decompressed size, and a digest that tells it from others."""

    payload: bytes
    digest: bytes
    size: int


class Appended(NamedTuple):
    """A batch is in a recording: now, or `again`, then maybe in one that is closed. `is_full`: close it, it is as old or as
    large as it may be."""

    recording_id: UUID
    again: bool
    is_full: bool


class NotOpen(Exception):
    """The recording takes no more batches."""


class Conflict(Exception):
    """Another batch came with the same number."""


class Before(NamedTuple):
    """What there was of a session before: its latest recording, and whether one of them has this very batch."""

    recording_id: UUID | None
    received: bool


_NOTE = """
    noted AS (
        INSERT INTO batch (recording_id, number, digest, size, total)
        SELECT target.id, {number}, CAST(:digest AS bytea), CAST(:size AS bigint),
               CAST(:size AS bigint) + coalesce((
                   SELECT total FROM batch WHERE recording_id = target.id ORDER BY number DESC LIMIT 1
               ), 0)
        FROM target {when}
        ON CONFLICT DO NOTHING
        RETURNING recording_id, number, total
    ), stored AS (
        INSERT INTO payload (recording_id, batch, chunk, data)
        SELECT noted.recording_id, noted.number, part.chunk - 1, part.data
        FROM noted, unnest(CAST(:chunks AS bytea[])) WITH ORDINALITY AS part (data, chunk)
    )
"""
_AGE = "extract(epoch FROM clock_timestamp() - target.created_at)"

_APPEND_TO_SESSION = Statement(
    f"""
    WITH target AS (
        SELECT id, created_at, (
            SELECT earlier.id FROM recording AS earlier JOIN batch ON recording_id = earlier.id
            WHERE earlier.tenant_id = recording.tenant_id AND earlier.project_id = recording.project_id
              AND earlier.session_id = recording.session_id AND earlier.source = '{Source.STREAM}'
              AND earlier.id <> recording.id AND digest = :digest
            LIMIT 1
        ) AS earlier_id
        FROM recording
        WHERE project_id = :project_id AND session_id = :session_id AND is_open AND source = '{Source.STREAM}'
        FOR SHARE
    ), {_NOTE.format(number="nextval('batch_number')", when="WHERE target.earlier_id IS NULL")}
    SELECT target.id, target.earlier_id, noted.number, noted.total, {_AGE} AS age_s
    FROM target LEFT JOIN noted ON true
    """  # noqa: S608  # constants only
)

_APPEND_CHUNK = Statement(
    f"""
    WITH target AS (
        SELECT id, created_at, is_open AND source = '{Source.UPLOAD}' AS is_open FROM recording
        WHERE id = :recording_id AND tenant_id = :tenant_id AND deleted_at IS NULL
        FOR SHARE
    ), {_NOTE.format(number="CAST(:number AS bigint)", when="WHERE target.is_open")}
    SELECT target.id, target.is_open, noted.number, noted.total, {_AGE} AS age_s
    FROM target LEFT JOIN noted ON true
    """  # noqa: S608  # constants only
)

_DIGEST = "SELECT digest FROM batch WHERE recording_id = $1 AND number = $2"
_SIZE = "SELECT coalesce(sum(size), 0)::bigint FROM batch WHERE recording_id = $1"

_BEFORE = f"""
    WITH before AS (
        SELECT id, created_at, deleted_at FROM recording
        WHERE tenant_id = $1 AND project_id = $2 AND session_id = $3 AND source = '{Source.STREAM}'
    )
    SELECT (SELECT id FROM before WHERE deleted_at IS NULL ORDER BY created_at DESC, id DESC LIMIT 1),
           EXISTS (SELECT FROM before JOIN batch ON recording_id = before.id WHERE digest = $4)
"""  # noqa: S608  # constants only


async def append_to_session(
    db: Database, project_id: UUID, session_id: str, batch: NewBatch, terms: LiveTerms
) -> Appended | None:
    """Add a batch to the open recording of a session, unless it or one before it has that. None when none is open."""
    values = {"project_id": project_id, "session_id": session_id, **_values(batch)}
    async with db.driver() as connection:
        found = await _APPEND_TO_SESSION.fetchrow(connection, values)
        if found is None:
            return None
        if found["earlier_id"]:
            return Appended(found["earlier_id"], again=True, is_full=False)
        is_full = await _is_full(connection, found, terms)
    return Appended(found["id"], again=found["number"] is None, is_full=is_full)


async def append_chunk(
    db: Database, tenant_id: UUID, recording_id: UUID, number: int, batch: NewBatch, terms: LiveTerms
) -> Appended | None:
    """Add a chunk to an open recording, once. None when there is no such recording.

    Raises NotOpen, Conflict. What came before as it is comes again, closed or not. A live session takes no chunks.
    """
    values = {"tenant_id": tenant_id, "recording_id": recording_id, "number": number, **_values(batch)}
    async with db.driver() as connection:
        found = await _APPEND_CHUNK.fetchrow(connection, values)
        if found is None:
            return None
        is_full = found["is_open"] and await _is_full(connection, found, terms)
        again = found["number"] is None
        known = await connection.fetchval(_DIGEST, recording_id, number) if again else batch.digest
    if known is None or (known != batch.digest and not found["is_open"]):
        raise NotOpen
    if known != batch.digest:
        raise Conflict
    return Appended(recording_id, again, is_full)


async def _is_full(
    connection: "asyncpg.Connection[asyncpg.Record]", found: asyncpg.Record, terms: LiveTerms
) -> bool:
    """`total` lacks the batches that came at the same moment as others: near the limit, all are added up."""
    total = found["total"]
    if found["age_s"] >= terms.max_s or (total is not None and total >= terms.max_bytes):
        return True
    if total is not None and total * AT_ONCE < terms.max_bytes:
        return False
    return int(await connection.fetchval(_SIZE, found["id"])) >= terms.max_bytes


def _values(batch: NewBatch) -> dict[str, object]:
    return {"digest": batch.digest, "size": batch.size, "chunks": cut(batch.payload)}


async def before(db: Database, tenant_id: UUID, project_id: UUID, session_id: str, digest: bytes) -> Before:
    """What there was of a session, apart from an open recording."""
    async with db.driver() as connection:
        found = await connection.fetchrow(_BEFORE, tenant_id, project_id, session_id, digest)
    return Before(*found) if found else Before(None, received=False)


async def size_of(db: Database, recording_id: UUID) -> int:
    """How large the batches of a recording are together."""
    async with db.driver() as connection:
        return int(await connection.fetchval(_SIZE, recording_id))


async def finish(db: Database, tenant_id: UUID, recording_id: UUID) -> Status | None:
    """Nothing more will come: `process` may begin. Again, it changes nothing. Returns the status from now on.

    None when there is no such recording.
    """
    async with db.transaction() as session:
        recording = await lifecycle.lock(session, recording_id)
        if recording is None or recording.tenant_id != tenant_id:
            return None
        if not recording.is_open:
            return recording.status
        await ledger.cancel(session, recording_id, JobKind.CLOSE)
        return await lifecycle.close(session, recording)


async def commit_closed(db: Database, claim: Claim, terms: LiveTerms) -> float:
    """Close what has been idle for long enough, or is as old or as large as it may be. Raises ClaimLost.

    Returns 0, or the seconds after which it is to be looked at again.
    """
    async with db.transaction() as session:
        recording = await lifecycle.lock(session, claim.recording_id)
        if recording is None:
            raise ClaimLost
        await ledger.hold(session, claim)
        if recording.is_open:
            wait_s = await _time_left_s(session, claim, recording, terms)
            if wait_s > 0:
                await ledger.continue_later(session, claim, delay_s=wait_s)
                return wait_s
            await lifecycle.close(session, recording)
        await ledger.finish(session, claim)
        return 0


async def _time_left_s(session: AsyncSession, claim: Claim, recording: Recording, terms: LiveTerms) -> float:
    """How long the recording may stay open if nothing more comes; not positive when its time is over."""
    now = func.clock_timestamp()
    newest = func.coalesce(func.max(col(Batch.received_at)), recording.created_at)
    due_at = select(col(Job.due_at)).where(col(Job.id) == claim.job_id).scalar_subquery()
    times = (now - newest, now - recording.created_at, now - due_at)
    wanted = select(
        *(func.extract("epoch", time) for time in times), func.coalesce(func.sum(col(Batch.size)), 0)
    ).where(col(Batch.recording_id) == recording.id)
    *ages, size = (await session.execute(wanted)).one()
    idle_s, age_s, late_s = map(float, ages)
    return_s = min(terms.idle_s, RETURN_S)
    if size >= terms.max_bytes:
        return 0
    idle_left_s = terms.idle_s - idle_s
    # Planned for the end of its idle time, not for that of a return: nobody gets two.
    is_first = idle_s - late_s < terms.idle_s + AWAY_S
    if late_s >= AWAY_S and is_first:
        idle_left_s = max(idle_left_s, return_s)
    idle_left_s = max(idle_left_s, return_s - await _web_back_s(session))
    return min(idle_left_s, terms.max_s - age_s)


async def _web_back_s(session: AsyncSession) -> float:
    """How long clients could have come back: since web returned. 0: it is absent; infinite: it never was, or nobody knows."""
    now = func.clock_timestamp()
    times = (now - col(Presence.seen_at), now - col(Presence.back_at))
    wanted = select(*(func.extract("epoch", time) for time in times)).where(col(Presence.role) == Role.WEB)
    found = (await session.execute(wanted)).one_or_none()
    if found is not None and found[0] > ABSENT_S:
        return 0
    return math.inf if found is None or found[1] is None else float(found[1])
