"""The connection to Postgres: engine, sessions, and what a server must promise before anything is accepted.

Every connection carries time limits below the lease, so that a process that freezes inside a transaction cannot hold
its locks longer than the job it works on may take, and keepalives, so that Postgres notices when it is gone.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
from sqlalchemy import event, text
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

MIN_SERVER_VERSION = 170000  # the first with transaction_timeout
NEEDED_VERSION = f"Postgres {MIN_SERVER_VERSION // 10000} or newer is needed"
CONNECT_TIMEOUT_S = 5
START_PAUSE_S = 0.5
AWAY_STATES = (
    "08",  # connection exceptions
    "53",  # out of connections, memory or disk
    "57P",  # shutting down, crashed, starting up
    "40",  # serialization failure, deadlock
    "55P03",  # waited too long for a lock
    "57014",  # waited too long for a statement
    "25P03",  # was idle in a transaction for too long: frozen
    "25P04",  # was in a transaction for too long
    "25006",  # read-only: a standby, while its primary is being replaced
)


class UnsafeServer(Exception):
    """This Postgres could lose what it acknowledged, or does not have our schema; the message says what to change."""


class Database:
    """One pool of connections to Postgres.

    `limit_s` bounds, for each connection, a statement, a wait for a lock and a transaction; keep it below the lease.
    Build one per event loop, and close it there.
    """

    def __init__(
        self, url: str, *, pool_size: int = 5, limit_s: float = 30, application: str = "tapedeck"
    ) -> None:
        limit_ms = str(int(limit_s * 1000))
        self.engine: AsyncEngine = create_async_engine(
            async_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=limit_s,
            json_serializer=lambda value: msgspec.json.encode(value).decode(),
            json_deserializer=msgspec.json.decode,
            connect_args={
                "async_creator_fn": connect,
                "timeout": CONNECT_TIMEOUT_S,
                "command_timeout": limit_s
                + CONNECT_TIMEOUT_S,  # a server that froze answers no timeout of its own
                "server_settings": {
                    "application_name": application,
                    "statement_timeout": limit_ms,
                    "lock_timeout": str(int(limit_s * 500)),
                    "idle_in_transaction_session_timeout": limit_ms,
                    # A client that freezes between asyncpg's Parse and its Bind is neither idle nor running a
                    # statement: only this ends its session, and the locks that it holds.
                    "transaction_timeout": limit_ms,
                    "tcp_keepalives_idle": "10",
                    "tcp_keepalives_interval": "5",
                    "tcp_keepalives_count": "3",
                    # A connection plans a statement once. What it plans while a table is small it goes on doing when the
                    # table has grown, until the next ANALYZE: each row that we look for is to be found by an index.
                    "enable_seqscan": "off",
                    "timezone": "UTC",
                },
            },
        )
        event.listen(self.engine.sync_engine, "checkout", _replace_closed)
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._repeatable = self.engine.execution_options(isolation_level="REPEATABLE READ")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session inside one transaction: committed at the end, rolled back when the block raises."""
        async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncSession]:
        """A session inside one transaction whose statements all see one moment, that of the first of them. For reading only."""
        async with AsyncSession(self._repeatable, expire_on_commit=False) as session, session.begin():
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session for one SELECT: one round trip, no BEGIN and COMMIT."""
        async with AsyncSession(self._autocommit, expire_on_commit=False) as session:
            yield session

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[AsyncConnection]:
        """A connection on which each statement is its own transaction: one round trip, no BEGIN and COMMIT."""
        async with self._autocommit.connect() as connection:
            yield connection

    @asynccontextmanager
    async def driver(self) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
        """The driver's own connection, for what every request waits for: a fifth of the CPU time of `autocommit`.

        Each statement is its own transaction. Errors are the driver's; `is_away` knows them. Raise no others inside.
        """
        pooled = await self.engine.raw_connection()
        connection = pooled.driver_connection
        assert isinstance(connection, asyncpg.Connection)  # noqa: S101  # narrows SQLAlchemy's type
        try:
            yield connection
        except asyncpg.PostgresError:
            raise  # its session goes on
        except BaseException as error:
            was_closed = isinstance(error, asyncpg.InterfaceError) and connection.is_closed()
            pooled.invalidate()  # who has it next must not find the rest of a statement that was cut short
            if was_closed:
                raise ConnectionError(str(error)) from error
            raise
        finally:
            pooled.close()

    @asynccontextmanager
    async def bulk(
        self, limit_s: float
    ) -> "AsyncIterator[tuple[AsyncSession, asyncpg.Connection[asyncpg.Record]]]":
        """A transaction that may take `limit_s` seconds, and the driver's own connection inside it, for COPY.

        Its wait for a lock is bounded as everywhere. Errors of the driver's connection are the driver's.
        """
        limit_ms = int(limit_s * 1000)
        async with self.transaction() as session:
            # The timer of a transaction that runs is not set anew: it has to be taken away first.
            await session.execute(text("SET LOCAL transaction_timeout = 0"))
            for name in ("transaction_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
                await session.execute(text(f"SET LOCAL {name} = {limit_ms}"))
            connection = await session.connection()
            driver = (await connection.get_raw_connection()).driver_connection
            assert isinstance(driver, asyncpg.Connection)  # noqa: S101  # narrows SQLAlchemy's type
            try:
                yield session, driver
            except BaseException as error:
                # The driver has several words for a session that the server ended between two statements.
                was_closed = isinstance(error, asyncpg.InternalClientError) or (
                    isinstance(error, asyncpg.InterfaceError) and driver.is_closed()
                )
                await connection.invalidate()  # whatever was cut short: nobody has this session again
                if was_closed:
                    raise ConnectionError(str(error)) from error
                raise

    def connections(self) -> tuple[int, int, int]:
        """Of the pool: those lent out, those idle, and how many it may have."""
        pool = self.engine.pool
        assert isinstance(pool, AsyncAdaptedQueuePool)  # noqa: S101  # narrows SQLAlchemy's type
        return pool.checkedout(), pool.checkedin(), pool.size()

    async def ping(self) -> None:
        """Raise unless Postgres answers a statement now."""
        async with self.autocommit() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        await self.engine.dispose()


class Statement:
    """SQL with named parameters (`:name`) for connections of `Database.driver`."""

    def __init__(self, sql: str) -> None:
        compiled = text(sql).compile(dialect=dialect())  # type: ignore[no-untyped-call]
        self._sql, self._names = compiled.string, compiled.positiontup or ()

    async def fetchrow(
        self, connection: "asyncpg.Connection[asyncpg.Record]", values: Mapping[str, Any]
    ) -> asyncpg.Record | None:
        """The first row, or None. Values that the statement does not name are left alone."""
        return await connection.fetchrow(self._sql, *(values[name] for name in self._names))


def _replace_closed(connection: Any, *_: object) -> None:
    """Before a pooled connection is used: the event loop has heard when its server went away, so nobody need ask."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def async_url(url: str) -> str:
    """`postgresql://…` as the SQLAlchemy URL of the asyncpg driver."""
    return "postgresql+asyncpg://" + url.split("://", 1)[1]


async def connect(*args: Any, **options: Any) -> Any:
    """Connect, and name every way of not getting there: a missing socket and several refusals are plain OSErrors."""
    try:
        return await asyncpg.connect(*args, **options)
    except asyncpg.UndefinedObjectError:
        raise UnsafeServer(NEEDED_VERSION) from None
    except OSError as error:
        raise ConnectionError(f"{type(error).__name__}: {error}") from error


def is_away(error: BaseException) -> bool:
    """Whether an error says that Postgres cannot be reached or is going down, rather than that a statement is wrong."""
    if isinstance(error, ConnectionError | TimeoutError | PoolTimeout):
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    state = getattr(cause, "sqlstate", None)
    return isinstance(cause, ConnectionError | TimeoutError) or (
        isinstance(state, str) and state.startswith(AWAY_STATES)
    )


async def check_server(database: Database, *, head: str | None) -> None:
    """Raise UnsafeServer unless this Postgres keeps what it acknowledges and has the schema `head`."""
    async with database.autocommit() as connection:
        shown = {
            name: (await connection.execute(text(f"SHOW {name}"))).scalar_one()
            for name in ("fsync", "synchronous_commit", "server_version_num")
        }
        for name in ("fsync", "synchronous_commit"):
            if shown[name] == "off":
                raise UnsafeServer(
                    f"Postgres runs with {name} = off and could lose accepted recordings: turn it on"
                )
        if int(shown["server_version_num"]) < MIN_SERVER_VERSION:
            raise UnsafeServer(NEEDED_VERSION)
        if head is None:
            return
        known = (
            await connection.execute(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
        ).scalar_one()
        current = (
            (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar()
            if known
            else None
        )
        if current != head:
            raise UnsafeServer(
                f"the database schema is {current or 'empty'}, this code needs {head}: run `tapedeck migrate`"
            )


async def wait_for_server(
    database: Database, *, head: str, patience_s: float, waiting: Callable[[Exception], None] = lambda _: None
) -> None:
    """`check_server`, once Postgres answers. `waiting` hears, once, why it does not yet.

    Raises UnsafeServer, or after `patience_s` why Postgres is away.
    """
    until = time.monotonic() + patience_s
    said = False
    while True:
        try:
            return await check_server(database, head=head)
        except Exception as error:
            if not is_away(error) or time.monotonic() >= until:
                raise
            if not said:
                waiting(error)
            said = True
            await asyncio.sleep(START_PAUSE_S)
