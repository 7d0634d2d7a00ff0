"""Attempts: what came of each claim of a job, told to who operates the deck. `models.ledger` decides; this is its diary.

A row begins with the claim and ends with whatever ends that, in the same transaction; a lost worker's by the rescue. Of
each job the newest KEPT rows stay, until the job is pruned or its recording purged; that they ended stays counted
(`models.attempt_tally`).

A fingerprint names a way of failing: the kind of job, the type of the error, and the place in our code that raised it. Only
where there is no such place the message stands in for it, without what differs each time.
"""

import hashlib
import re
from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Index, delete, func, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from models import attempt_tally
from models.columns import enum_type
from models.retry import Failure, FailureKind

KEPT = 20
ERROR_CHARS = 500
TRACEBACK_CHARS = 8000
FINGERPRINT_CHARS = 16
_VARIES = re.compile(r"0x[0-9a-fA-F]+|[0-9a-fA-F]{4,}(?:-[0-9a-fA-F]{4,})+|[0-9a-fA-F]{8,}|\d+(?:\.\d+)?")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


class Outcome(StrEnum):
    """What ended an attempt. The last five are `models.retry.FailureKind`."""

    DONE = "done"
    CONTINUED = "continued"  # it did a part of the work, and goes on later
    CANCELLED = "cancelled"  # somebody ended the job
    BAD_INPUT = "bad_input"
    AWAY = "away"
    FAULT = "fault"
    LOSS = "loss"
    STOPPED = "stopped"


class Attempt(SQLModel, table=True):
    """One claim of a job. `number` counts the job's claims from 1; `place` is `module:function`; `due_at` is since when the job
    had been due."""

    __tablename__ = "attempt"
    __table_args__ = (
        Index("ix_attempt_recording_id", "recording_id"),
        Index(
            "ix_attempt_fingerprint",
            "fingerprint",
            "ended_at",
            postgresql_where=text("fingerprint IS NOT NULL"),
        ),
        Index("ix_attempt_failed", "ended_at", postgresql_where=text("fingerprint IS NOT NULL")),
        Index("ix_attempt_ended", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
    )

    job_id: UUID = Field(primary_key=True)
    number: int = Field(primary_key=True)
    tenant_id: UUID
    recording_id: UUID
    kind: str
    worker: str | None = None
    due_at: datetime | None = None
    started_at: datetime
    ended_at: datetime | None = None
    outcome: Outcome | None = Field(default=None, sa_type=enum_type(Outcome))
    error_code: str | None = None
    error: str | None = None
    traceback: str | None = None
    place: str | None = None
    fingerprint: str | None = None


def normalized(message: str) -> str:
    """A message without what differs each time: numbers, ids, what it quotes."""
    return " ".join(_VARIES.sub("N", _QUOTED.sub("'…'", message)).split())[:ERROR_CHARS]


def fingerprint(kind: str, failure: Failure) -> str:
    """The name of this way of failing: 16 hex digits."""
    error_type = failure.exception.partition(":")[0] or failure.code.value
    parts = (kind, error_type, failure.place or normalized(failure.exception or failure.message))
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:FINGERPRINT_CHARS]


async def end(
    session: AsyncSession, job_id: UUID, outcome: Outcome, *, kind: str = "", failure: Failure | None = None
) -> None:
    """The attempt at a job that is under way, if any, has ended."""
    values: dict[str, Any] = {"ended_at": func.clock_timestamp(), "outcome": outcome}
    if failure is not None:
        values |= {
            "error_code": failure.code.value,
            "error": (failure.exception or failure.message)[:ERROR_CHARS],
            "traceback": failure.detail[-TRACEBACK_CHARS:] or None,
            "place": failure.place or None,
        }
        if failure.kind is not FailureKind.STOPPED:  # nothing failed
            values["fingerprint"] = fingerprint(kind, failure)
    under_way = (col(Attempt.job_id) == job_id) & col(Attempt.ended_at).is_(None)
    ended = (
        update(Attempt).where(under_way).values(**values).returning(col(Attempt.ended_at), col(Attempt.kind))
    )
    for at, of in (await session.execute(ended)).all():
        await attempt_tally.count(session, at, of, outcome)


async def forget(session: AsyncSession, job_ids: Collection[UUID]) -> None:
    """Forget the attempts at these jobs."""
    await session.execute(delete(Attempt).where(col(Attempt.job_id).in_(job_ids)))


async def forget_of(session: AsyncSession, recording_ids: Collection[UUID]) -> None:
    """Forget the attempts at all jobs of these recordings."""
    await session.execute(delete(Attempt).where(col(Attempt.recording_id).in_(recording_ids)))
