"""Tenants and keys, as many as a test needs."""

from collections.abc import Iterable

from models.bootstrap import FirstKeys
from models.db import Database
from models.tenancy import ApiKey, Project, Scope, Tenant, User, hash_secret, new_secret
from tests.factories import Deckhand


async def new_tenant(db: Database) -> Deckhand:
    """A tenant with a project, a user without a password, and the two keys that a first tenant has."""
    async with db.transaction() as session:
        tenant = Tenant(name="A tenant")
        session.add(tenant)
        await session.flush()
        project = Project(tenant_id=tenant.id, name="A project")
        session.add(project)
        await session.flush()
        email = f"{tenant.id}@example.com"
        user = User(tenant_id=tenant.id, default_project_id=project.id, email=email, scopes=[])
        session.add(user)
    secrets = new_secret(), new_secret()
    api_key = await _key(db, user, secrets[0], (Scope.INGEST, Scope.READ, Scope.MANAGE))
    ingest_key = await _key(db, user, secrets[1], (Scope.INGEST,))
    return Deckhand(FirstKeys(*secrets, email, ""), api_key, ingest_key)


async def new_key(db: Database, hand: Deckhand, *scopes: Scope) -> str:
    """The secret of another key of this tenant's user."""
    async with db.transaction() as session:
        user = await session.get_one(User, hand.api_key.user_id)
    secret = new_secret()
    await _key(db, user, secret, scopes)
    return secret


async def _key(db: Database, user: User, secret: str, scopes: Iterable[Scope]) -> ApiKey:
    key = ApiKey(
        tenant_id=user.tenant_id,
        project_id=user.default_project_id,
        user_id=user.id,
        name="A key",
        hint=secret[:8],
        secret_hash=hash_secret(secret),
        scopes=[scope.value for scope in scopes],
    )
    async with db.transaction() as session:
        session.add(key)
    return key
