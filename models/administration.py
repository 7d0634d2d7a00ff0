"""Administration: who there is, and every way that tenants, projects, users and API keys come, change and go.

What always holds: a user belongs to the tenant of their default project; a key belongs to the tenant of its user, and to
a project of that tenant; a key has no scope that its user lacks. What is revoked stays, to tell who made which recording.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.db import Database
from models.sign_in import SignInSession
from models.tenancy import HINT_CHARS, ApiKey, Project, Scope, Tenant, User, hash_secret, new_secret
from replay.privacy import IpAddresses, Masking, Rules

NAME_CHARS = 200
RETENTION_MAX_DAYS = 36500
EMAIL_CHARS = 254  # RFC 5321, section 4.5.3.1.3, without the angle brackets


class Refused(Exception):
    """`field` is wrong; the message says why, and what would be right."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Absent(Refused):
    """`field` names something that there is not."""


@dataclass(frozen=True)
class Owned:
    """A key, with the names of what it belongs to."""

    key: ApiKey
    project: str
    email: str


@dataclass(frozen=True)
class Made:
    """A new key. The secret is known here and nowhere else: only its hash is stored."""

    owned: Owned
    secret: str


@dataclass(frozen=True)
class Revoked:
    """When a key was revoked; `before`: by somebody else, earlier."""

    at: datetime
    before: bool


async def tenants(db: Database) -> Sequence[Tenant]:
    """All tenants, oldest first."""
    async with db.reading() as session:
        return (await session.execute(select(Tenant).order_by(col(Tenant.id)))).scalars().all()


async def create_tenant(db: Database, name: str) -> Tenant:
    """A new tenant; names need not be unique. Raises Refused."""
    tenant = Tenant(name=_name(name))
    async with db.transaction() as session:
        session.add(tenant)
    return tenant


async def projects(db: Database, tenant_id: UUID | None = None) -> Sequence[Project]:
    """A tenant's projects, or all; oldest first."""
    wanted = select(Project).where(*_of(tenant_id, Project.tenant_id)).order_by(col(Project.id))
    async with db.reading() as session:
        return (await session.execute(wanted)).scalars().all()


async def create_project(db: Database, tenant_id: UUID, name: str) -> Project:
    """A new project of this tenant. Raises Refused."""
    project = Project(tenant_id=tenant_id, name=_name(name))
    async with db.transaction() as session:
        if await session.get(Tenant, tenant_id) is None:
            raise Absent("tenant", f"there is no tenant {tenant_id}")
        session.add(project)
    return project


async def set_retention(db: Database, project_id: UUID, days: float | None) -> Project:
    """From the next sweep on the project's recordings are deleted so many days after they were accepted; None: never.

    Raises Refused.
    """
    if days is not None and not 0 < days <= RETENTION_MAX_DAYS:
        raise Refused("retention", f"must be more than 0 and at most {RETENTION_MAX_DAYS} days, or none")
    async with db.transaction() as session:
        project = _there(await session.get(Project, project_id, with_for_update=True), project_id)
        project.retention_days = days
    return project


async def set_relational(db: Database, project_id: UUID, wanted: bool) -> Project:
    """Whether the events of each recording of a project that is processed from now on become rows. Raises Absent."""
    async with db.transaction() as session:
        project = _there(await session.get(Project, project_id, with_for_update=True), project_id)
        project.relational = wanted
    return project


async def project(db: Database, project_id: UUID) -> Project:
    """One project. Raises Absent."""
    async with db.reading() as session:
        return _there(await session.get(Project, project_id), project_id)


async def set_privacy(
    db: Database,
    project_id: UUID,
    *,
    masking: Masking | None = None,
    rules: Rules | None = None,
    ip_addresses: IpAddresses | None = None,
) -> Project:
    """Change what is masked of a project's recordings from now on; None leaves a setting. `rules` are checked already.

    What is kept stays as it is until somebody has it masked. Raises Absent.
    """
    given = {"masking": masking, "mask_rules": rules, "ip_addresses": ip_addresses}
    async with db.transaction() as session:
        project = _there(await session.get(Project, project_id, with_for_update=True), project_id)
        for name, value in given.items():
            if value is not None:
                setattr(project, name, msgspec.to_builtins(value))
    return project


async def users(db: Database, tenant_id: UUID | None = None) -> Sequence[User]:
    """A tenant's users, or all; oldest first."""
    wanted = select(User).where(*_of(tenant_id, User.tenant_id)).order_by(col(User.id))
    async with db.reading() as session:
        return (await session.execute(wanted)).scalars().all()


async def create_user(
    db: Database, *, email: str, project_id: UUID, scopes: Collection[Scope], password_hash: str | None
) -> User:
    """A new user of the project's tenant; the project is their default. `password_hash`: argon2id, or None: nobody
    signs in as them. Raises Refused."""
    email = _email(email)
    async with db.transaction() as session:
        project = _there(await session.get(Project, project_id), project_id)
        user = User(
            tenant_id=project.tenant_id,
            default_project_id=project.id,
            email=email,
            password_hash=password_hash,
            scopes=_ordered(scopes),
        )
        session.add(user)
        try:
            await session.flush()
        except IntegrityError:  # everything else was looked at, and nothing deletes projects
            raise Refused("email", f"there is a user {email} already: give another") from None
    return user


async def revoke_user(db: Database, email: str) -> int | None:
    """Take away a user's scopes and password, end their sessions and revoke their keys. Returns how many of these were still valid, or
    None when there was nothing left to take. Raises Absent."""
    async with db.transaction() as session:
        user = await _user(session, email, shared=False)
        had_something = bool(user.scopes) or user.password_hash is not None
        user.scopes, user.password_hash = [], None
        await session.execute(delete(SignInSession).where(col(SignInSession.user_id) == user.id))
        revoked = await session.execute(
            update(ApiKey)
            .where(col(ApiKey.user_id) == user.id, col(ApiKey.revoked_at).is_(None))
            .values(revoked_at=func.now())
            .returning(col(ApiKey.id))
        )
        count = len(revoked.all())
    return count if had_something or count else None


async def keys(db: Database, tenant_id: UUID | None = None, *, revoked: bool = True) -> Sequence[Owned]:
    """A tenant's keys, or all; oldest first; with the revoked ones or without."""
    wanted = (
        select(ApiKey, col(Project.name), col(User.email))
        .join(Project, col(Project.id) == col(ApiKey.project_id))
        .join(User, col(User.id) == col(ApiKey.user_id))
        .where(*_of(tenant_id, ApiKey.tenant_id))
        .order_by(col(ApiKey.id))
    )
    if not revoked:
        wanted = wanted.where(col(ApiKey.revoked_at).is_(None))
    async with db.reading() as session:
        return [Owned(*row) for row in await session.execute(wanted)]


async def create_key(
    db: Database, *, name: str, email: str, scopes: Collection[Scope], project_id: UUID | None = None
) -> Made:
    """A new key of the user with this email; `project_id` defaults to theirs. Raises Refused."""
    name, secret = _name(name), new_secret()
    if not scopes:
        raise Refused("scope", "a key without any scope may do nothing: give it at least one")
    async with db.transaction() as session:
        user = await _user(session, email, shared=True)  # their scopes stay until this key is there
        if lacking := [scope for scope in _ordered(scopes) if scope not in user.scopes]:
            has = ", ".join(user.scopes) or "none"
            raise Refused("scope", f"{user.email} lacks {', '.join(lacking)}: ask for what they have ({has})")
        project = await session.get(Project, project_id or user.default_project_id)
        if project is None or project.tenant_id != user.tenant_id:
            raise Absent("project", f"there is no project {project_id} in the tenant of {user.email}")
        key = ApiKey(
            tenant_id=user.tenant_id,
            project_id=project.id,
            user_id=user.id,
            name=name,
            hint=secret[:HINT_CHARS],
            secret_hash=hash_secret(secret),
            scopes=_ordered(scopes),
        )
        session.add(key)
    return Made(Owned(key, project.name, user.email), secret)


async def revoke_key(db: Database, key_id: UUID) -> Revoked | None:
    """From its commit on, the key opens nothing. Again: changes nothing. None: there is no such key."""
    async with db.transaction() as session:
        now = await session.execute(
            update(ApiKey)
            .where(col(ApiKey.id) == key_id, col(ApiKey.revoked_at).is_(None))
            .values(revoked_at=func.now())
            .returning(col(ApiKey.revoked_at))
        )
        if (at := now.scalar_one_or_none()) is not None:
            return Revoked(at, before=False)
        before = await session.execute(select(col(ApiKey.revoked_at)).where(col(ApiKey.id) == key_id))
        return None if (at := before.scalar_one_or_none()) is None else Revoked(at, before=True)


async def _user(session: AsyncSession, email: str, *, shared: bool) -> User:
    email = _email(email, "user")
    wanted = select(User).where(col(User.email) == email).with_for_update(read=shared)
    user = (await session.execute(wanted)).scalar_one_or_none()
    if user is None:
        raise Absent("user", f"there is no user {email}")
    return user


def _there(project: Project | None, project_id: UUID) -> Project:
    if project is None:
        raise Absent("project", f"there is no project {project_id}")
    return project


def _of(tenant_id: UUID | None, column: Any) -> Iterable[ColumnElement[bool]]:
    return () if tenant_id is None else (col(column) == tenant_id,)


def _ordered(scopes: Collection[Scope]) -> list[str]:
    return [scope.value for scope in Scope if scope in scopes]


def _name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > NAME_CHARS or not name.isprintable():
        raise Refused("name", f"must be 1 to {NAME_CHARS} printable characters")
    return name


def _email(email: str, field: str = "email") -> str:
    email = email.strip().lower()
    local, _, domain = email.rpartition("@")
    if not (local and domain) or len(email) > EMAIL_CHARS or not email.isprintable() or " " in email:
        raise Refused(field, f"must look like name@example.com, with at most {EMAIL_CHARS} characters")
    return email
