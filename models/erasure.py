"""Erasures: everything of a subject is deleted, looked for everywhere, and certified. What is asked for, and what was done.

    requested ──▶ collected: its recordings are deleted ──each one purged, then verified absent──▶ finished

`models.erasing` has the steps. An erasure covers what was accepted before it was requested, whatever its status. What is
on hold when it comes by is kept, and told. Its own rows stay: they are the certificate.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Index, Text, func, select, text
from sqlmodel import Field, SQLModel, col

from models.columns import enum_type
from models.db import Database
from models.ids import new_id
from models.object import StoredObject
from models.recording import Payload, Recording


class Subject(StrEnum):
    """Whose recordings an erasure erases, by the column of Recording that has the value."""

    SESSION = "session_id"
    FINGERPRINT = "fingerprint"
    USER = "user_id"
    PROJECT = "project_id"
    TENANT = "tenant_id"


class Erasure(SQLModel, table=True):
    """One request. `purged_before` and `purged_after`: what the tallies said of the hours in which the erased recordings
    were accepted, when the erasure came by and once it is finished."""

    __tablename__ = "erasure"
    __table_args__ = (Index("ix_erasure_running", "id", postgresql_where=text("finished_at IS NULL")),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID = Field(foreign_key="tenant.id")
    subject: Subject = Field(sa_type=enum_type(Subject))
    value: str
    requested_at: datetime = Field(default=None, sa_column_kwargs={"server_default": text("now()")})
    collected_at: datetime | None = None
    finished_at: datetime | None = None
    purged_before: int | None = Field(default=None, sa_type=BigInteger)
    purged_after: int | None = Field(default=None, sa_type=BigInteger)


class ErasedRecording(SQLModel, table=True):
    """A recording that an erasure came by. `objects` are the names of all that storage had, or could yet get, of it;
    `purged_before` is what the tallies said of its hour then."""

    __tablename__ = "erased_recording"

    erasure_id: UUID = Field(foreign_key="erasure.id", primary_key=True)
    recording_id: UUID = Field(primary_key=True)
    on_hold: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    accepted_at: datetime
    deleted_at: datetime | None = None
    purged_at: datetime | None = None
    verified_at: datetime | None = None
    objects: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    purged_before: int | None = Field(default=None, sa_type=BigInteger)


class Preview(NamedTuple):
    """What an erasure would find now: recordings to erase, their bytes in storage and waiting, and those on hold."""

    recordings: int
    on_hold: int
    bytes: int


class Progress(NamedTuple):
    """An erasure, and how many recordings it has found, has erased (verified absent), and keeps on hold."""

    erasure: Erasure
    found: int
    erased: int
    on_hold: int


async def request(db: Database, tenant_id: UUID, subject: Subject, value: str) -> Erasure:
    """From the commit on everything of this subject that was accepted so far will be erased."""
    erasure = Erasure(tenant_id=tenant_id, subject=subject, value=value)
    async with db.transaction() as session:
        session.add(erasure)
        await session.flush()
        await session.refresh(erasure)
    return erasure


async def preview(db: Database, tenant_id: UUID, subject: Subject, value: str) -> Preview:
    """What an erasure would find now."""
    sizes = select(func.sum(StoredObject.size)).where(col(StoredObject.recording_id) == col(Recording.id))
    waiting = select(func.sum(func.octet_length(Payload.data))).where(
        col(Payload.recording_id) == col(Recording.id)
    )
    size = func.coalesce(sizes.scalar_subquery(), 0) + func.coalesce(waiting.scalar_subquery(), 0)
    held = col(Recording.held_at).is_not(None)
    wanted = select(
        func.count().filter(~held), func.count().filter(held), func.coalesce(func.sum(size).filter(~held), 0)
    ).where(*matching(tenant_id, subject, value))
    async with db.autocommit() as connection:
        recordings, on_hold, size_bytes = (await connection.execute(wanted)).one()
    return Preview(recordings, on_hold, int(size_bytes))


async def progress(db: Database, tenant_id: UUID, erasure_id: UUID) -> Progress | None:
    """How far an erasure of this tenant is; None when there is no such erasure."""
    counts = (
        select(
            func.count(),
            func.count(col(ErasedRecording.verified_at)),
            func.count().filter(col(ErasedRecording.on_hold)),
        )
        .select_from(ErasedRecording)
        .where(col(ErasedRecording.erasure_id) == erasure_id)
    )
    async with db.transaction() as session:
        erasure = await session.get(Erasure, erasure_id)
        if erasure is None or erasure.tenant_id != tenant_id:
            return None
        return Progress(erasure, *(await session.execute(counts)).one())


async def erased_recordings(
    db: Database, erasure_id: UUID, *, on_hold: bool, limit: int, after: UUID | None = None
) -> Sequence[ErasedRecording]:
    """Up to `limit` recordings that an erasure erased, or kept, in the order of their ids, from after that id on."""
    wanted = select(ErasedRecording).where(
        col(ErasedRecording.erasure_id) == erasure_id, col(ErasedRecording.on_hold).is_(on_hold)
    )
    if after is not None:
        wanted = wanted.where(col(ErasedRecording.recording_id) > after)
    async with db.reading() as session:
        rows = await session.execute(wanted.order_by(col(ErasedRecording.recording_id)).limit(limit))
        return rows.scalars().all()


def matching(tenant_id: UUID, subject: Subject, value: str) -> Sequence[ColumnElement[bool]]:
    """Which recordings are of a subject, deleted ones that are not purged yet included."""
    column: Any = getattr(Recording, subject.value)
    wanted = value if subject in (Subject.SESSION, Subject.FINGERPRINT) else UUID(value)
    return col(Recording.tenant_id) == tenant_id, col(column) == wanted
