"""Answers to SQL that somebody typed, who may read one tenant's rows and do nothing else.

`SET LOCAL ROLE` alone would be no wall: `SELECT set_config('role', 'none', true), query_to_xml(…)` climbs over it, and so
does `DO`. What holds:

- *no SQL of theirs runs outside `pg_temp.answer`*, a function of the reader's with SECURITY DEFINER: inside one Postgres changes
  neither role nor session authorization, and ends no transaction. Outside it, a statement is only parsed (Parse and Describe of
  the extended protocol: one statement, and one that has columns), to know the columns of its answer.
- the reader has no rights but those of `models.reader`, and another tenant's rows need that tenant's key.
- each statement has a transaction of its own, READ ONLY, which is rolled back: settings and locks end with it.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement
from sqlalchemy import select
from sqlmodel import col

from models.administration import Absent
from models.db import Database, UnsafeServer
from models.reader import ROLE
from models.tenancy import Tenant

FETCHED_AT_ONCE = 1000
GRACE_S = 5  # for a server that froze, which answers no timeout of its own
_ANSWER = """
CREATE OR REPLACE FUNCTION pg_temp.answer(query text) RETURNS SETOF record LANGUAGE plpgsql SECURITY DEFINER
AS $$ BEGIN RETURN QUERY EXECUTE query; END $$
"""
_SETTINGS = """
SELECT set_config('tapedeck.tenant_id', $1, true), set_config('tapedeck.tenant_key', $2, true),
    set_config('transaction_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true),
    set_config('statement_timeout', $3, true)
"""
_TYPES = """
SELECT format_type(oid, NULL), typtype = 'p' FROM unnest($1::oid[]) WITH ORDINALITY given (oid, place)
JOIN pg_type USING (oid) ORDER BY place
"""


class Form(StrEnum):
    """What the values of an answer are given as."""

    TEXT = "text"  # as Postgres writes them
    JSON = "json"


class BadQuery(Exception):
    """There is no answer; the message says why, in one line."""


@dataclass(frozen=True)
class Answer:
    """Rows, as they come: each value a text, or None for NULL."""

    columns: Sequence[str]
    batches: AsyncIterator[list[tuple[str | None, ...]]]


class Reader:
    """A tenant's rows, for statements one by one."""

    def __init__(
        self, connection: "asyncpg.Connection[asyncpg.Record]", tenant: Tenant, timeout_s: float
    ) -> None:
        self._connection = connection
        self._tenant = tenant
        self._timeout_s = timeout_s

    @asynccontextmanager
    async def ask(self, query: str, form: Form = Form.TEXT) -> AsyncIterator[Answer]:
        """The answer to one statement; read it inside the block. Raises BadQuery, and what says that Postgres is away."""
        if "\0" in query:
            raise BadQuery("a statement has no NUL")
        try:
            transaction = self._connection.transaction(readonly=True)
            await transaction.start()
            try:
                yield await self._answer(query, form)
            finally:
                if not self._connection.is_closed():
                    await transaction.rollback()
                    await self._connection.execute("SELECT pg_advisory_unlock_all()")
        except asyncpg.PostgresError as error:
            if (error.sqlstate or "").startswith(("08", "57P", "53")):
                raise
            raise BadQuery(_said(error, query)) from None
        except TimeoutError:
            raise BadQuery(f"no answer within {self._timeout_s + GRACE_S:g} s") from None

    async def _answer(self, query: str, form: Form) -> Answer:
        await self._connection.execute(f"SET LOCAL ROLE {ROLE}")
        limit_ms = str(int(self._timeout_s * 1000))
        await self._connection.fetchrow(_SETTINGS, str(self._tenant.id), str(self._tenant.rows_key), limit_ms)
        statement = await self._connection.prepare(query)
        columns = [attribute.name for attribute in statement.get_attributes()]
        if not columns:
            raise BadQuery(
                "only statements that give rows have an answer: SELECT, WITH, VALUES, EXPLAIN, SHOW"
            )
        if statement.get_parameters():
            raise BadQuery("$1 and the like stand for nothing here")
        types = await self._types(statement, columns)
        names = [f"c{number}" for number in range(len(columns))]
        given = ", ".join(
            f"to_json({name})::text" if form is Form.JSON else f"{name}::text" for name in names
        )
        declared = ", ".join(f"{name} {type_}" for name, type_ in zip(names, types, strict=True))
        # Their statement is a value here; the rest is made of names of ours and of Postgres's for types.
        asking = f"SELECT {given} FROM pg_temp.answer($1) AS answer ({declared})"  # noqa: S608
        cursor = await self._connection.cursor(asking, query, timeout=self._timeout_s + GRACE_S)
        first = await cursor.fetch(FETCHED_AT_ONCE)

        async def batches() -> AsyncIterator[list[tuple[str | None, ...]]]:
            batch = first
            while batch:
                yield [tuple(row) for row in batch]
                batch = await cursor.fetch(FETCHED_AT_ONCE)

        return Answer(columns, batches())

    async def _types(self, statement: "PreparedStatement[asyncpg.Record]", columns: list[str]) -> list[str]:
        oids = [attribute.type.oid for attribute in statement.get_attributes()]
        found = await self._connection.fetch(_TYPES, oids)
        for column, (type_, is_pseudo) in zip(columns, found, strict=True):
            if is_pseudo:
                raise BadQuery(f"column {column} is of type {type_}, which has no text: cast it")
        return [type_ for type_, _ in found]


@asynccontextmanager
async def reader(db: Database, tenant_id: UUID, *, timeout_s: float) -> AsyncIterator[Reader]:
    """A reader of this tenant's rows. Raises Absent for no tenant, UnsafeServer where the role is missing."""
    async with db.autocommit() as connection:
        wanted = select(col(Tenant.id), col(Tenant.name), col(Tenant.rows_key)).where(
            col(Tenant.id) == tenant_id
        )
        found = (await connection.execute(wanted)).mappings().one_or_none()
    if found is None:
        raise Absent("tenant", f"there is no tenant {tenant_id}")
    async with db.driver() as driver:
        try:
            async with driver.transaction():
                await driver.execute(f"SET LOCAL ROLE {ROLE}")
                await driver.execute(_ANSWER)
        except (
            asyncpg.InvalidParameterValueError,
            asyncpg.UndefinedObjectError,
            asyncpg.InsufficientPrivilegeError,
        ) as error:
            raise UnsafeServer(f"{error}: run `tapedeck migrate`") from None
        yield Reader(driver, Tenant(**found), timeout_s)


def _said(error: asyncpg.PostgresError, query: str) -> str:
    """The server's message in one line, with the place in the query where there is one."""
    message = " ".join((error.message or type(error).__name__).split())
    if error.sqlstate == "42601" and "multiple commands" in message:
        return "one statement at a time"
    place = error.position or (
        error.internal_position if getattr(error, "internal_query", None) == query else None
    )
    if place:
        before = query[: int(place) - 1]
        message += f" (line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))})"
    if error.hint:
        message += f". {' '.join(error.hint.split())}"
    return message
