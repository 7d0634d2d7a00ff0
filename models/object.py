"""Objects in storage: each has a row before it is put, so that none is ever forgotten.

A row is `pending` from the claim that will put the object, `live` once a commit refers to it, `dead` when nothing does
any more. A client's upload is `live` from the moment somebody may put it. Only the sweeper and `purge` delete objects,
and they never list the bucket.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, Index, case, func, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from models.columns import enum_type


class ObjectKind(StrEnum):
    """What an object holds; also the first segment of its name, so that lifecycle rules can tell them apart."""

    TAPE = "tapes"
    SIDECAR = "sidecars"
    VIDEO = "videos"
    UPLOAD = "incoming"  # put by a client, through a presigned URL


class ObjectState(StrEnum):
    """Whether anything refers to an object."""

    PENDING = "pending"  # a claim may be putting it now
    LIVE = "live"  # a recording refers to it
    DEAD = "dead"  # to be deleted once `expires_at` is over


class StoredObject(SQLModel, table=True):
    """One object. After `expires_at` no put of it can be under way: lease, upload URL and put deadline are over."""

    __tablename__ = "object"
    __table_args__ = (
        Index("ix_object_expires_at", "expires_at", postgresql_where=text("state <> 'live'")),
        Index("ix_object_recording_id", "recording_id"),
        Index("ix_object_claim_id", "claim_id", postgresql_where=text("state = 'pending'")),
    )

    name: str = Field(primary_key=True)
    kind: ObjectKind = Field(sa_type=enum_type(ObjectKind))
    state: ObjectState = Field(default=ObjectState.PENDING, sa_type=enum_type(ObjectState))
    recording_id: UUID
    claim_id: UUID | None = None
    expires_at: datetime
    size: int | None = Field(default=None, sa_type=BigInteger)
    crc32c: int | None = Field(default=None, sa_type=BigInteger)
    created_at: datetime = Field(default=None, sa_column_kwargs={"server_default": text("now()")})


_SUFFIX = {ObjectKind.TAPE: ".json.zst", ObjectKind.SIDECAR: ".json.zst"}


def object_name(kind: ObjectKind, tenant_id: UUID | str, recording_id: UUID | str, claim_id: UUID) -> str:
    """The name of an object that one claim puts: no two claims share one, so a put may be repeated.

    A client's upload has no claim: a fresh id stands in its place. What is not known yet may be a place to fill in.
    """
    return f"{kind.value}/{tenant_id}/{recording_id}/{claim_id}{_SUFFIX.get(kind, '')}"


@dataclass(frozen=True)
class PutObject:
    """An object as storage reported it after the put. Size in bytes."""

    name: str
    size: int
    crc32c: int


async def expect_upload(session: AsyncSession, name: str, *, recording_id: UUID, ends_s: float) -> None:
    """A client may put this object from now on, and no put of it goes on after `ends_s` seconds."""
    await session.execute(
        insert(StoredObject).values(
            name=name,
            kind=ObjectKind.UPLOAD,
            state=ObjectState.LIVE,
            recording_id=recording_id,
            expires_at=func.clock_timestamp() + timedelta(seconds=ends_s),
        )
    )


async def publish(session: AsyncSession, claim_id: UUID, put: PutObject) -> bool:
    """The object that this claim put is referred to from now on. False when it was swept meanwhile."""
    statement = (
        update(StoredObject)
        .where(
            col(StoredObject.name) == put.name,
            col(StoredObject.claim_id) == claim_id,
            col(StoredObject.state) == ObjectState.PENDING,
        )
        .values(state=ObjectState.LIVE, size=put.size, crc32c=put.crc32c)
        .returning(col(StoredObject.name))
    )
    return (await session.execute(statement)).one_or_none() is not None


async def bury(session: AsyncSession, names: Collection[str | None]) -> None:
    """Nothing refers to these live objects any more: they may be deleted, an upload once its last URL is over."""
    if not any(names):
        return
    ended = func.greatest(func.clock_timestamp(), col(StoredObject.expires_at))
    is_upload = col(StoredObject.kind) == ObjectKind.UPLOAD
    await session.execute(
        update(StoredObject)
        .where(col(StoredObject.name).in_([name for name in names if name]))
        .values(state=ObjectState.DEAD, expires_at=case((is_upload, ended), else_=func.clock_timestamp()))
    )
