"""Who may read rows with SQL: the role `tapedeck_reader`, which sees the rows of one tenant and nothing else.

It may SELECT the tables of rows and the views on them. Row-level security shows it what `readable_replay` has: valid rows of
the tenant that two settings name:

    SET tapedeck.tenant_id = '…';   -- which tenant
    SET tapedeck.tenant_key = '…';  -- its tenant.rows_key, which proves it: anybody may change a setting

A login of somebody's own may be a member of the role: without another tenant's key it gets nowhere else. Owners and
superusers are not bound by policies, nor is any other role: to them row-level security leaves what was granted to them.

The role belongs to the whole server and is not in dumps of a database, so `allow` is no migration: it follows each.
"""

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from models.db import Database
from models.rows import MODELS

ROLE = "tapedeck_reader"
READABLE = "readable_replay"
VIEWS = ("click", "input", "navigation", "console_error", "failed_request")
TABLES = tuple(dict.fromkeys(("replay", *MODELS)))
ALLOWING_LOCK = 7_201_847_114  # any number: two at once would both make the role

_ROLE = f"""
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}') THEN
        CREATE ROLE {ROLE} NOLOGIN;
    END IF;
    IF NOT pg_has_role('{ROLE}', 'SET') THEN
        GRANT {ROLE} TO CURRENT_USER WITH INHERIT FALSE, SET TRUE;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- made meanwhile, for another database
END $$
"""
_WITHOUT = text(
    """
    SELECT name FROM unnest(CAST(:tables AS text[])) name
    WHERE NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = to_regclass(name) AND polname = 'reader')
    """
)
_UNREADABLE = text(
    "SELECT name FROM unnest(CAST(:names AS text[])) name WHERE NOT has_table_privilege(:role, name, 'SELECT')"
)


async def allow(database_url: str) -> str | None:
    """Make the role and give it its rights, where either is missing. Returns what an administrator has to do instead.

    A role that this user may not make is no error: rows can be had without it, but not read by `tapedeck sql`.
    """
    db = Database(database_url, pool_size=1)
    try:
        async with db.engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ALLOWING_LOCK})
            try:
                async with connection.begin_nested():
                    await connection.execute(text(_ROLE))
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) != asyncpg.InsufficientPrivilegeError.sqlstate:
                    raise
                user = (await connection.execute(text("SELECT quote_ident(current_user)"))).scalar_one()
                return (
                    f"there is no role for `tapedeck sql`, since {user} may not make one. As a superuser run "
                    f"`CREATE ROLE {ROLE} NOLOGIN; GRANT {ROLE} TO {user} WITH INHERIT FALSE, SET TRUE;` "
                    "(without CREATE ROLE where it exists), then `tapedeck migrate` again"
                )
            await _give(connection)
    finally:
        await db.close()
    return None


async def _give(connection: AsyncConnection) -> None:
    """Only what is missing: a policy locks its table against everybody."""
    for table in (await connection.execute(_WITHOUT, {"tables": list(TABLES)})).scalars().all():
        readable = f"SELECT FROM {READABLE} WHERE {READABLE}.replay_id = {table}.replay_id"  # our names
        for statement in (
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"DROP POLICY IF EXISTS granted ON {table}",
            f"CREATE POLICY granted ON {table} USING (true)",
            f"CREATE POLICY reader ON {table} AS RESTRICTIVE FOR SELECT TO {ROLE} USING (EXISTS ({readable}))",
        ):
            await connection.execute(text(statement))
    names = [*TABLES, *VIEWS, READABLE]
    for name in (await connection.execute(_UNREADABLE, {"names": names, "role": ROLE})).scalars().all():
        await connection.execute(text(f"GRANT SELECT ON {name} TO {ROLE}"))
    await connection.execute(
        text(
            f"""
            DO $$ BEGIN
                IF NOT has_function_privilege('{ROLE}', 'rows_tenant()', 'EXECUTE') THEN
                    GRANT EXECUTE ON FUNCTION rows_tenant() TO {ROLE};
                END IF;
                IF NOT has_schema_privilege('{ROLE}', current_schema(), 'USAGE') THEN
                    EXECUTE format('GRANT USAGE ON SCHEMA %I TO {ROLE}', current_schema());
                END IF;
            END $$
            """
        )
    )
