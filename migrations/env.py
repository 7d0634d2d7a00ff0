"""How alembic reaches the database: models.migrate passes the URL."""

import asyncio

from alembic import context
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel

import models.action
import models.attempt
import models.attempt_tally
import models.breakers
import models.conservation
import models.erasure
import models.job
import models.object
import models.processes
import models.queues
import models.recording
import models.rows
import models.sign_in
import models.status_change
import models.tenancy  # noqa: F401  # importing a module declares its tables
from models.db import async_url, connect

MIGRATION_LOCK = 7_201_847_113  # any number: two migrations of one database must not run at once


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection, target_metadata=SQLModel.metadata, transaction_per_migration=False
    )
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        context.run_migrations()


async def _connect_and_run() -> None:
    engine = create_async_engine(
        async_url(context.config.attributes["database_url"]),
        poolclass=pool.NullPool,
        connect_args={"async_creator_fn": connect},
    )
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_run)
            await connection.commit()
    finally:
        await engine.dispose()


asyncio.run(_connect_and_run())
