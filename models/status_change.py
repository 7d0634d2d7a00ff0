"""The diary of a recording's statuses: when it got which, and why. Written in the transaction that changes it."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from models.columns import enum_type
from models.recording import Status


class Why(StrEnum):
    """What a recording got its status from."""

    ACCEPTED = "accepted"
    CLAIMED = "claimed"  # the first claim of `process`
    CLOSED = "closed"  # nothing more comes
    CONFIRMED = "confirmed"  # its video is there
    DONE = "done"  # everything that was owed to it
    FAILED = "failed"  # a job gave up, or was discarded
    RETRIED = "retried"


class StatusChange(SQLModel, table=True):
    """One change. `at` is never before the one before, whatever the clock does."""

    __tablename__ = "status_change"

    recording_id: UUID = Field(primary_key=True)
    at: datetime = Field(primary_key=True)
    status: Status = Field(sa_type=enum_type(Status))
    why: Why = Field(sa_type=enum_type(Why))


_NOTE = text(
    """
    INSERT INTO status_change (recording_id, at, status, why)
    SELECT id, greatest(clock_timestamp(), updated_at + interval '1 ms'), CAST(:status AS varchar), :why
    FROM recording WHERE id = :id AND status <> CAST(:status AS varchar)
    """
)


async def note(session: AsyncSession, recording_id: UUID, status: Status, why: Why) -> None:
    """The locked recording is about to get this status; nothing, when it has it. Call before the change."""
    await session.execute(_NOTE, {"id": recording_id, "status": status.value, "why": why.value})


async def forget(session: AsyncSession, recording_id: UUID) -> None:
    """The recording is purged."""
    await session.execute(delete(StatusChange).where(col(StatusChange.recording_id) == recording_id))
