"""Who owns recordings and who may do what: tenants, projects, users, API keys.

A key's secret is shown once and stored as its SHA-256: it has 256 random bits, so a slow hash would protect nothing more.
"""

import hashlib
import secrets
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ARRAY, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.columns import enum_type
from models.ids import new_id
from replay.privacy import IpAddresses, Masking, Privacy, Rules

KEY_PREFIX = "tdk_"
HINT_CHARS = 8  # of a secret that are kept, to tell keys apart


class Scope(StrEnum):
    """What a key or a user may do."""

    INGEST = "ingest"
    READ = "read"
    MANAGE = "manage"
    OPERATE = "operate"


class Tenant(SQLModel, table=True):
    """A customer: nothing of one tenant is ever visible to another."""

    __tablename__ = "tenant"
    __table_args__ = (Index("ix_tenant_name", "name", "id"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    name: str
    rows_key: UUID = Field(
        default=None,
        repr=False,
        description="secret: who knows it reads the tenant's rows (`models.reader`)",
        sa_column_kwargs={"server_default": text("gen_random_uuid()")},
    )
    created_at: datetime = Field(default=None, sa_column_kwargs={"server_default": text("now()")})


class Project(SQLModel, table=True):
    """A site or an application of a tenant. `mask_rules` are `replay.privacy.Rules`."""

    __tablename__ = "project"

    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID = Field(foreign_key="tenant.id", index=True)
    name: str
    masking: Masking = Field(
        default=Masking.DEFAULT, sa_type=enum_type(Masking), sa_column_kwargs={"server_default": "default"}
    )
    mask_rules: dict[str, Any] = Field(
        default_factory=dict, sa_type=JSONB, sa_column_kwargs={"server_default": text("'{}'")}
    )
    ip_addresses: IpAddresses = Field(
        default=IpAddresses.FULL,
        sa_type=enum_type(IpAddresses),
        sa_column_kwargs={"server_default": "full"},
    )
    relational: bool = Field(
        default=False,
        description="every recording gets its rows, replays or not",
        sa_column_kwargs={"server_default": text("false")},
    )
    retention_days: float | None = Field(
        default=None, description="recordings are deleted so long after they were accepted; null: never"
    )
    created_at: datetime = Field(default=None, sa_column_kwargs={"server_default": text("now()")})

    @property
    def privacy(self) -> Privacy:
        """All that decides what is masked of its recordings."""
        return privacy_of(self.masking, self.mask_rules, self.ip_addresses)


def privacy_of(masking: str, rules: dict[str, Any], ip_addresses: str) -> Privacy:
    """What these columns of a project say."""
    return Privacy(Masking(masking), msgspec.convert(rules, Rules), IpAddresses(ip_addresses))


class User(SQLModel, table=True):
    """A person. `email` is stored in lower case; without a `password_hash` (argon2id) nobody signs in as them."""

    __tablename__ = "user_account"

    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID = Field(foreign_key="tenant.id", index=True)
    default_project_id: UUID = Field(foreign_key="project.id")
    email: str = Field(unique=True)
    password_hash: str | None = None
    scopes: list[str] = Field(sa_type=ARRAY(Text))
    created_at: datetime = Field(default=None, sa_column_kwargs={"server_default": text("now()")})


class ApiKey(SQLModel, table=True):
    """A key of a project, made by a user. `hint` is its start, to tell keys apart on a screen."""

    __tablename__ = "api_key"

    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID = Field(foreign_key="tenant.id", index=True)
    project_id: UUID = Field(foreign_key="project.id")
    user_id: UUID = Field(foreign_key="user_account.id")
    name: str
    hint: str
    secret_hash: bytes = Field(unique=True)
    scopes: list[str] = Field(sa_type=ARRAY(Text))
    created_at: datetime = Field(default=None, sa_column_kwargs={"server_default": text("now()")})
    revoked_at: datetime | None = None


def new_secret() -> str:
    """A fresh API key, to be shown once."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def hash_secret(secret: str) -> bytes:
    """What is stored of an API key."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
