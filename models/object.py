"""Objects in storage: each has a row before it is put, so that none is ever forgotten.

A row is `pending` from the claim that will put the object, `live` once a commit refers to it, `dead` when nothing does
any more. Only the sweeper and `purge` delete objects, and they never list the bucket.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel

from models.columns import enum_type


class ObjectKind(StrEnum):
    """What an object holds; also the first segment of its name, so that lifecycle rules can tell them apart."""

    TAPE = "tapes"
    SIDECAR = "sidecars"


class ObjectState(StrEnum):
    """Whether anything refers to an object."""

    PENDING = "pending"  # a claim may be putting it now
    LIVE = "live"  # a recording refers to it
    DEAD = "dead"  # to be deleted once `expires_at` is over


class StoredObject(SQLModel, table=True):
    """One object. After `expires_at` no put of it can be under way: lease and put deadline are over."""

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


def object_name(kind: ObjectKind, tenant_id: UUID, recording_id: UUID, claim_id: UUID) -> str:
    """The name of an object that one claim puts: no two claims share one, so a put may be repeated."""
    return f"{kind.value}/{tenant_id}/{recording_id}/{claim_id}.json.zst"
