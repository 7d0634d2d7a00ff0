"""The rows of a recording: what they are made from, and how they come and go.

All of them come in one transaction, which takes as long as it takes: it locks nothing that anybody else wants until its
end, and then says on the recording whose tape they are of. So they are all there, or none.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import CursorResult, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import ledger, lifecycle
from models.db import Database
from models.job import JobKind, Priority
from models.ledger import Claim, ClaimLost
from models.recording import Recording, Replay, Source, Status, Tape
from models.rows import MODELS
from replay.index import Index
from replay.relations import Row
from replay.relations.columns import Table

PURGED_AT_ONCE = 10_000

# A worker that froze while it was copying keeps its rows, and no time limit of Postgres's ends its session: a COPY that
# waits for its client hears of nothing else. Whoever has the claim now ends it, or purges the recording.
_END_OTHERS = text(
    """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND pid <> pg_backend_pid()
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (classid::bigint << 32 | objid::bigint) = :key
    """
)


class NotReady(Exception):
    """There is no tape to make rows from: not yet, or if the recording has failed, not ever."""

    def __init__(self, status: Status) -> None:
        super().__init__(status)
        self.status = status


class Overtaken(Exception):
    """Another tape has taken the place of the one that these rows are of."""


@dataclass(frozen=True)
class Origin:
    """What rows are made from. `outdated`: there are rows of the tape before it; `live`: it is a live session's."""

    tape_name: str
    sidecar_name: str
    index: Index
    outdated: bool = False
    live: bool = False


async def ask(db: Database, tenant_id: UUID, recording_id: UUID) -> Status | None:
    """Have rows made of a recording, again if there are some: after those that a recording is not ready without.

    Returns its status; None when there is no such recording. Raises NotReady.
    """
    async with db.transaction() as session:
        recording = await lifecycle.lock(session, recording_id)
        if recording is None or recording.tenant_id != tenant_id:
            return None
        if recording.tape_name is None:
            raise NotReady(recording.status)
        whose = {"tenant_id": tenant_id, "recording_id": recording_id}
        await ledger.owe(session, JobKind.RELATE, **whose, priority=Priority.IN_BULK)
        return recording.status


async def origin(db: Database, claim: Claim) -> Origin:
    """What to make rows from, now. Raises ClaimLost."""
    outdated = func.coalesce(col(Recording.rows_tape_name) != col(Tape.name), False)
    wanted = (
        select(col(Tape.name), col(Recording.sidecar_name), col(Tape.index), outdated, col(Recording.source))
        .join(Tape, col(Tape.recording_id) == col(Recording.id))
        .where(col(Recording.id) == claim.recording_id, col(Recording.deleted_at).is_(None))
    )
    async with db.autocommit() as connection:
        found = (await connection.execute(wanted)).one_or_none()
    if found is None:
        raise ClaimLost
    tape_name, sidecar_name, index, is_outdated, source = found
    return Origin(
        tape_name, sidecar_name or "", Index.decode(index), is_outdated, live=source is Source.STREAM
    )


class Copy:
    """The rows of a recording on their way into their tables."""

    def __init__(
        self, driver: "asyncpg.Connection[asyncpg.Record]", replay_id: UUID, timeout_s: float
    ) -> None:
        self._driver = driver
        self._first = (replay_id,)
        self._timeout_s = timeout_s

    async def rows(self, table: Table, rows: Sequence[Row]) -> None:
        """Copy rows of one table."""
        await self._driver.copy_records_to_table(
            table.name,
            records=map(self._first.__add__, rows),  # each is gone once it is encoded
            columns=["replay_id", *(column.name for column in table.columns)],
            timeout=self._timeout_s,
        )


@asynccontextmanager
async def replacing(db: Database, claim: Claim, origin: Origin, *, limit_s: float) -> AsyncIterator[Copy]:
    """What is copied inside takes the place of the recording's rows when the block ends, and the job is done.

    Nothing of it is there before, or if anything goes wrong. Raises ClaimLost, Overtaken, and what the driver raises.
    """
    await ledger.check(db, claim)
    async with db.bulk(limit_s) as (session, driver):
        await session.execute(_END_OTHERS, _lock_key(claim.recording_id))
        await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), _lock_key(claim.recording_id))
        for table in MODELS:
            sql = f"DELETE FROM {table} WHERE replay_id = $1"  # noqa: S608  # our names
            await driver.execute(sql, claim.recording_id, timeout=limit_s)
        yield Copy(driver, claim.recording_id, limit_s)
        await _commit(session, claim, origin)


def _lock_key(recording_id: UUID) -> dict[str, int]:
    """The advisory lock that who writes the rows of a recording holds."""
    return {"key": int.from_bytes(recording_id.bytes[8:], signed=True)}


async def _commit(session: AsyncSession, claim: Claim, origin: Origin) -> None:
    recording = await lifecycle.lock(session, claim.recording_id)
    if recording is None:
        raise ClaimLost
    await ledger.hold(session, claim)
    if recording.tape_name != origin.tape_name:
        raise Overtaken
    index = origin.index
    replay = {
        "tenant_id": recording.tenant_id,
        "project_id": recording.project_id,
        "first_timestamp": index.first_time if index.parts else None,
        "last_timestamp": index.last_time if index.parts else None,
        "event_count": index.events,
        "related_at": func.now(),
    }
    await session.execute(
        insert(Replay)
        .values(replay_id=recording.id, **replay)
        .on_conflict_do_update(index_elements=["replay_id"], set_=replay)
    )
    recording.rows_tape_name = origin.tape_name
    await lifecycle.advance(session, recording, claim)


async def drop_outdated(db: Database, claim: Claim) -> None:
    """Remove the rows of a tape that another has replaced, before anything can go wrong with new ones: nobody reads them,
    and they may hold what was masked since. Raises ClaimLost."""
    await purge(db, claim)
    async with db.transaction() as session:
        recording = await lifecycle.lock(session, claim.recording_id)
        await ledger.hold(session, claim)
        if recording is not None and lifecycle.has_outdated_rows(recording):
            await lifecycle.change(session, recording.id, rows_tape_name=None)


async def purge(db: Database, claim: Claim) -> None:
    """Remove the rows of a recording, some at a time, each while the claim holds. Raises ClaimLost."""
    async with db.autocommit() as connection:
        await connection.execute(_END_OTHERS, _lock_key(claim.recording_id))
    for table in MODELS:
        some = text(
            f"DELETE FROM {table} WHERE ctid = ANY(ARRAY("  # noqa: S608  # our names
            f"SELECT ctid FROM {table} WHERE replay_id = :id LIMIT {PURGED_AT_ONCE}))"
        )
        gone = PURGED_AT_ONCE
        while gone == PURGED_AT_ONCE:
            async with db.transaction() as session:
                await ledger.hold(session, claim)
                result = await session.execute(some, {"id": claim.recording_id})
                gone = result.rowcount if isinstance(result, CursorResult) else 0
