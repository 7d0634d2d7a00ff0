"""What operators do to many jobs at once, and the log of everything that operators did.

    pending ──first few done──▶ canary ──they did not fail again──▶ running ──nothing is left──▶ done
        └─────of few, or a discard──────────────────────────────────▲
    pending, canary, running ──stop, or the canary failed──▶ stopped

`reason`: why it ended as it did; of one that goes on, what it waits for.

`models.acting` carries actions out. An action is about the jobs that were there when it was asked for; each is looked at
again when its turn comes, and left alone when it does not match any more.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Index, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from models.columns import enum_type
from models.db import Database
from models.filters import JobFilter
from models.ids import new_id


class Verb(StrEnum):
    """What is done to each job."""

    RETRY = "retry"  # due now, with fresh budgets; its recording, if it failed of it, goes back to work
    DISCARD = "discard"  # ended; its recording fails, if the job was owed to it


class ActionState(StrEnum):
    """How far an action is."""

    PENDING = "pending"
    CANARY = "canary"  # the first few are done: what becomes of them decides
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


ACTIVE = (ActionState.PENDING, ActionState.CANARY, ActionState.RUNNING)


class Action(SQLModel, table=True):
    """One action. `done`: jobs that it changed; `skipped`: no longer matched, or could not be; `cursor`: the last job."""

    __tablename__ = "action"
    __table_args__ = (
        Index("ix_action_active", "id", postgresql_where=text("state IN ('pending', 'canary', 'running')")),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    who: str
    verb: Verb = Field(sa_type=enum_type(Verb))
    filter: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    state: ActionState = Field(default=ActionState.PENDING, sa_type=enum_type(ActionState))
    reason: str | None = None
    matched: int
    done: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    skipped: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    cursor: UUID | None = None
    canary: list[Any] = Field(
        default_factory=list, sa_type=JSONB, sa_column_kwargs={"server_default": text("'[]'")}
    )
    created_at: datetime = Field(default=None, sa_column_kwargs={"server_default": text("now()")})
    finished_at: datetime | None = None

    @property
    def jobs(self) -> JobFilter:
        """Which jobs it is about."""
        return msgspec.convert(self.filter, JobFilter)


class AuditEntry(SQLModel, table=True):
    """Something that an operator did: who, when, what, to what, how many."""

    __tablename__ = "audit_log"

    id: UUID = Field(default_factory=new_id, primary_key=True)
    at: datetime = Field(default=None, sa_column_kwargs={"server_default": text("clock_timestamp()")})
    who: str
    what: str
    subject: str
    count: int | None = None
    details: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)


def audit(
    session: AsyncSession, who: str, what: str, subject: str, count: int | None = None, **details: Any
) -> None:
    """Log it in the transaction that does it."""
    session.add(AuditEntry(who=who, what=what, subject=subject, count=count, details=details))


async def who(session: AsyncSession, user_id: UUID, api_key_id: UUID | None) -> str:
    """The name of an operator: their email, with the key that they used."""
    asked = text(
        "SELECT email, (SELECT name FROM api_key WHERE id = :key) FROM user_account WHERE id = :user"
    )
    email, key = (await session.execute(asked, {"user": user_id, "key": api_key_id})).one()
    return f"{email} ({key})" if key else str(email)


async def request(session: AsyncSession, by: str, verb: Verb, jobs: JobFilter, *, matched: int) -> Action:
    """From the commit on the dispatcher does this to all jobs that match."""
    action = Action(who=by, verb=verb, filter=msgspec.to_builtins(jobs), matched=matched)
    session.add(action)
    await session.flush()
    await session.refresh(action)
    audit(session, by, f"{verb.value} begun", f"action {action.id}", matched, filter=action.filter)
    return action


async def stop(session: AsyncSession, action_id: UUID, by: str) -> Action | None:
    """Do no more of an action; what is done stays done. None when there is none. One that has ended stays as it is."""
    action = await session.get(Action, action_id, with_for_update=True)
    if action is not None and action.state in ACTIVE:
        action.state, action.reason = ActionState.STOPPED, f"stopped by {by}"
        await session.execute(_ENDED, {"id": action_id})
        audit(session, by, "action stopped", f"action {action_id}", action.done)
    return action


_ENDED = text("UPDATE action SET finished_at = clock_timestamp() WHERE id = :id")


async def actions(db: Database, *, limit: int, before: UUID | None) -> Sequence[Action]:
    """Up to `limit` actions, newest first."""
    wanted = select(Action).order_by(col(Action.id).desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(col(Action.id) < before)
    async with db.reading() as session:
        return (await session.execute(wanted)).scalars().all()


async def one(db: Database, action_id: UUID) -> Action | None:
    """An action, or None."""
    async with db.reading() as session:
        return await session.get(Action, action_id)


async def log(db: Database, *, limit: int, before: UUID | None) -> Sequence[AuditEntry]:
    """Up to `limit` entries of the audit log, newest first."""
    wanted = select(AuditEntry).order_by(col(AuditEntry.id).desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(col(AuditEntry.id) < before)
    async with db.reading() as session:
        return (await session.execute(wanted)).scalars().all()
