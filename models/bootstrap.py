"""The first tenant of an empty database, with keys to begin with."""

import secrets
from dataclasses import dataclass

from argon2 import PasswordHasher
from sqlalchemy import text

from models.db import Database
from models.tenancy import HINT_CHARS, ApiKey, Project, Scope, Tenant, User, hash_secret, new_secret


@dataclass(frozen=True)
class FirstKeys:
    """The secrets of the first tenant. Make them first and keep them safe, then write them: a crash in between loses none."""

    api_key: str
    ingest_key: str
    operator_email: str
    operator_password: str
    operator_key: str = ""  # none, when they were made before there was one

    @classmethod
    def generate(cls) -> "FirstKeys":
        return cls(
            new_secret(), new_secret(), "operator@tapedeck.local", secrets.token_urlsafe(15), new_secret()
        )


async def ensure_first_tenant(database_url: str, keys: FirstKeys) -> bool:
    """On a database without any tenant, make tenant, project, operator and two keys. False: there was one already."""
    db = Database(database_url, pool_size=1)
    try:
        async with db.transaction() as session:
            await session.execute(text("LOCK TABLE tenant IN SHARE ROW EXCLUSIVE MODE"))
            if (await session.execute(text("SELECT 1 FROM tenant LIMIT 1"))).first() is not None:
                return False
            tenant = Tenant(name="First tenant")
            session.add(tenant)
            await session.flush()
            project = Project(tenant_id=tenant.id, name="First project")
            session.add(project)
            await session.flush()
            operator = User(
                tenant_id=tenant.id,
                default_project_id=project.id,
                email=keys.operator_email.lower(),
                password_hash=PasswordHasher().hash(keys.operator_password),
                scopes=[scope.value for scope in Scope],
            )
            session.add(operator)
            await session.flush()
            for name, secret, scopes in (
                ("First key", keys.api_key, (Scope.INGEST, Scope.READ, Scope.MANAGE)),
                ("First ingest key", keys.ingest_key, (Scope.INGEST,)),
                ("First operator key", keys.operator_key, (Scope.OPERATE,)),
            ):
                if not secret:
                    continue
                session.add(
                    ApiKey(
                        tenant_id=tenant.id,
                        project_id=project.id,
                        user_id=operator.id,
                        name=name,
                        hint=secret[:HINT_CHARS],
                        secret_hash=hash_secret(secret),
                        scopes=[scope.value for scope in scopes],
                    )
                )
            return True
    finally:
        await db.close()
