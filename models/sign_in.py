"""Sign-in sessions, and how often somebody may try to get one.

A session's token is 256 random bits, known to one browser; what is stored is its SHA-256. The session ends `idle_s` after
it was last used, or `max_s` after it began, whichever comes first, or when its user is revoked: then its row is gone.

Tries are limited by the generic cell rate algorithm (ITU-T I.371): a subject has so many at once and gains one every
`gain_s`; a row says when it will have all of them again, and is of no use from then on.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Field, SQLModel

from models.db import Database, Statement
from models.tenancy import Scope, hash_secret, privacy_of
from replay.privacy import Privacy

USE_NOTED_S = 60  # how far `used_at` may lag behind: most requests write nothing


class SignInSession(SQLModel, table=True):
    """A browser that somebody has signed in with."""

    __tablename__ = "sign_in_session"

    token_hash: bytes = Field(primary_key=True)
    user_id: UUID = Field(foreign_key="user_account.id", index=True)
    created_at: datetime = Field(default=None, sa_column_kwargs={"server_default": text("now()")})
    used_at: datetime = Field(default=None, sa_column_kwargs={"server_default": text("now()")})
    expires_at: datetime = Field(index=True, description="unless it is used before")


class SignInTries(SQLModel, table=True):
    """How often an email or an address has tried of late. `subject` is a SHA-256: nobody needs to read it."""

    __tablename__ = "sign_in_tries"

    subject: bytes = Field(primary_key=True)
    forgotten_at: datetime = Field(index=True)


@dataclass(frozen=True)
class SessionTerms:
    """How long a session lasts: seconds without a request, and altogether."""

    idle_s: float
    max_s: float


@dataclass(frozen=True)
class Tries:
    """How often one subject may try: `burst` times at once, and again every `gain_s` seconds."""

    burst: int
    gain_s: float


class Account(NamedTuple):
    """Who signs in with an email. Without a `password_hash` nobody does."""

    user_id: UUID
    password_hash: str | None


class UserRights(NamedTuple):
    """Whose a session is, and what they may do; the project is their default."""

    tenant_id: UUID
    project_id: UUID
    user_id: UUID
    email: str
    scopes: Sequence[str]
    privacy: Privacy


# The row is locked before it is looked at: of those who try at once, each counts.
_TAKE = Statement(
    """
    INSERT INTO sign_in_tries AS known (subject, forgotten_at)
    VALUES (CAST(:subject AS bytea), clock_timestamp() + make_interval(secs => CAST(:gain_s AS float)))
    ON CONFLICT (subject) DO UPDATE
        SET forgotten_at = greatest(known.forgotten_at, clock_timestamp()) + make_interval(secs => CAST(:gain_s AS float))
        WHERE known.forgotten_at <= clock_timestamp() + make_interval(secs => CAST(:earlier_s AS float))
    RETURNING 1
    """
)
_WAIT = Statement(
    """
    SELECT extract(epoch FROM forgotten_at - clock_timestamp()) - CAST(:earlier_s AS float) AS seconds
    FROM sign_in_tries WHERE subject = CAST(:subject AS bytea)
    """
)

_ACCOUNT = "SELECT id, password_hash FROM user_account WHERE email = $1"

# FOR SHARE: whoever revokes the user has either done so, or waits and then ends this session, too.
_BEGIN = Statement(
    """
    WITH known AS (
        SELECT id FROM user_account WHERE id = :user_id AND password_hash = :password_hash FOR SHARE
    )
    INSERT INTO sign_in_session (token_hash, user_id, expires_at)
    SELECT CAST(:token_hash AS bytea), known.id,
           now() + make_interval(secs => least(CAST(:idle_s AS float), CAST(:max_s AS float)))
    FROM known
    RETURNING 1
    """
)

_RIGHTS = Statement(
    f"""
    WITH used AS (
        UPDATE sign_in_session SET used_at = now(), expires_at = least(
            now() + make_interval(secs => CAST(:idle_s AS float)),
            created_at + make_interval(secs => CAST(:max_s AS float))
        )
        WHERE token_hash = CAST(:token_hash AS bytea) AND expires_at > now()
          AND used_at < now() - least(interval '{USE_NOTED_S} s', make_interval(secs => CAST(:idle_s AS float) / 10))
    )
    SELECT user_account.tenant_id, default_project_id, user_id, email, scopes, masking, mask_rules, ip_addresses
    FROM sign_in_session
    JOIN user_account ON user_account.id = user_id
    JOIN project ON project.id = default_project_id
    WHERE token_hash = CAST(:token_hash AS bytea) AND expires_at > now()
    """  # noqa: S608  # constants only
)


async def wait_s(db: Database, subject: str, tries: Tries) -> float:
    """Note that a subject tries to sign in: 0, or after how many seconds it may try again. Then nothing was noted."""
    values = {
        "subject": hashlib.sha256(subject.encode()).digest(),
        "gain_s": tries.gain_s,
        "earlier_s": (tries.burst - 1) * tries.gain_s,
    }
    async with db.driver() as connection:
        if await _TAKE.fetchrow(connection, values) is not None:
            return 0
        left = await _WAIT.fetchrow(connection, values)
    return max(float(left["seconds"]), 1) if left else 1


async def account(db: Database, email: str) -> Account | None:
    """Who has this email, which is in lower case; None when nobody has."""
    async with db.driver() as connection:
        found = await connection.fetchrow(_ACCOUNT, email)
    return None if found is None else Account(*found)


async def begin(db: Database, who: Account, terms: SessionTerms) -> str | None:
    """The token of a new session; None when the user was revoked, or got another password, meanwhile."""
    token = secrets.token_urlsafe(32)
    values = {**who._asdict(), **vars(terms), "token_hash": hash_secret(token)}
    async with db.driver() as connection:
        begun = await _BEGIN.fetchrow(connection, values)
    return None if begun is None else token


async def rights(db: Database, token: str, terms: SessionTerms) -> UserRights | None:
    """What the session with this token opens; None when there is none, or it has ended. Counts as a use."""
    async with db.driver() as connection:
        found = await _RIGHTS.fetchrow(connection, {**vars(terms), "token_hash": hash_secret(token)})
    if found is None:
        return None
    tenant_id, project_id, user_id, email, scopes, masking, rules, ip_addresses = found
    return UserRights(tenant_id, project_id, user_id, email, scopes, privacy_of(masking, rules, ip_addresses))


async def still_may(db: Database, token: str, scope: Scope) -> bool:
    """Whether the session with this token goes on, of a user with this scope. Counts as no use."""
    asked = """
        SELECT EXISTS (
            SELECT FROM sign_in_session JOIN user_account ON user_account.id = user_id
            WHERE token_hash = $1 AND expires_at > now() AND $2 = ANY(scopes)
        )
    """
    async with db.driver() as connection:
        return bool(await connection.fetchval(asked, hash_secret(token), scope.value))


async def end(db: Database, token: str) -> None:
    """From here on the session with this token opens nothing; there need not be any."""
    async with db.driver() as connection:
        await connection.execute("DELETE FROM sign_in_session WHERE token_hash = $1", hash_secret(token))
