"""`tapedeck sql`."""

import csv
import io
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from uuid import UUID

import msgspec
import typer

from app.commands import statements, terminal
from app.commands.database import on_database
from app.exits import REFUSED, USAGE, Exit
from models.db import Database
from models.reading import Answer, BadQuery, Form, Reader, reader

HELP = "\\d lists tables, \\d TABLE its columns, \\q leaves; a statement ends with ;"
PROMPT = "tapedeck=> "

_LIST = """
SELECT c.relname AS name, CASE c.relkind WHEN 'v' THEN 'view' ELSE 'table' END AS kind,
    coalesce(obj_description(c.oid, 'pg_class'), '') AS comment
FROM pg_class c
WHERE c.relkind IN ('r', 'v', 'p') AND c.relnamespace = ANY (current_schemas(false)::regnamespace[])
    AND has_table_privilege(c.oid, 'SELECT')
ORDER BY kind DESC, name
"""
_COLUMNS = """
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
    CASE WHEN a.attnum = ANY (i.indkey) THEN 'key' ELSE '' END AS key,
    coalesce(col_description(a.attrelid, a.attnum), '') AS comment
FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND (i.indisprimary OR i.indnullsnotdistinct)
WHERE a.attrelid = to_regclass({}) AND a.attnum > 0 AND NOT a.attisdropped
    AND has_table_privilege(a.attrelid, 'SELECT')
ORDER BY a.attnum
"""

Tenant = Annotated[UUID, typer.Option("--tenant", metavar="ID", help="Whose rows: `tapedeck tenants list`.")]
Command = Annotated[list[str] | None, typer.Option("--command", "-c", metavar="QUERY", help="Ask this.")]
File = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="Ask what is in it; - is standard input.", allow_dash=True),
]
TimeoutS = Annotated[
    float,
    typer.Option("--timeout", min=0.001, max=86400, help="How long one statement may take, in seconds."),
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV, with a line of names.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print each answer as a line of JSON.")]


class Shape(StrEnum):
    """How answers are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def command(
    tenant: Tenant,
    file: File = None,
    query: Command = None,
    timeout_s: TimeoutS = 30,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """Ask about a tenant's recordings in SQL: those that have rows, event by event.

    It reads, and changes nothing; it sees the tables of rows and the views on them, and of one tenant only. \\d lists them,
    \\d TABLE tells their columns; docs/sql.md has examples. Without QUERY and FILE it asks for statements at the terminal.

    With --json: {"columns": […], "rows": [[…], …]}.
    """
    if as_csv and as_json:
        raise Exit("--csv or --json, not both", USAGE)
    if query and file:
        raise Exit("-c or a file, not both", USAGE)
    shape = Shape.CSV if as_csv else Shape.JSON if as_json else Shape.TABLE
    at_terminal = not query and file is None and sys.stdin.isatty()
    asked = statements.each(_typed()) if at_terminal else _given(query, file)
    if unread := on_database(lambda db: _session(db, tenant, timeout_s, asked, shape, goes_on=at_terminal)):
        raise unread


async def _session(
    db: Database, tenant: UUID, timeout_s: float, asked: Iterator[str], shape: Shape, *, goes_on: bool
) -> BrokenPipeError | None:
    """Returns the error when nobody reads the answers any more: raised here, it would seem to be Postgres's."""
    async with reader(db, tenant, timeout_s=timeout_s) as one:
        for statement in asked:  # waits for the person at the terminal: there is nothing else to do
            if statement.startswith("\\q"):
                break
            try:
                await _tell(one, statement, shape)
            except BrokenPipeError as error:
                return error
            except BadQuery as error:
                if not goes_on:
                    raise Exit(str(terminal.safe(error)), REFUSED) from None
                terminal.say(str(error))
    return None


async def _tell(one: Reader, statement: str, shape: Shape) -> None:
    if statement.startswith("\\"):
        statement = _described(statement)
    async with one.ask(statement, Form.JSON if shape is Shape.JSON else Form.TEXT) as answer:
        await _PRINTERS[shape](answer)


def _described(typed: str) -> str:
    """The query that a \\d is."""
    name, *arguments = typed.rstrip(";").split()
    if name not in ("\\d", "\\dt", "\\dv", "\\d+") or len(arguments) > 1:
        raise BadQuery(HELP)
    if not arguments:
        return _LIST
    quoted = arguments[0].replace("'", "''")
    return _COLUMNS.format(f"'{quoted}'")


async def _print_table(answer: Answer) -> None:
    rows = [row async for batch in answer.batches for row in batch]
    if rows:
        terminal.print_table(answer.columns, ([_cell(value) for value in row] for row in rows))
    else:
        terminal.print_line("no rows")


def _cell(value: str | None) -> str:
    return "" if value is None else value.replace("\n", "↵")


async def _print_csv(answer: Answer) -> None:
    terminal.write([_csv([answer.columns])])
    async for batch in answer.batches:
        terminal.write([_csv(batch)])


def _csv(rows: Iterable[Iterable[str | None]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


async def _print_json(answer: Answer) -> None:
    terminal.write([b'{"columns":', msgspec.json.encode(answer.columns), b',"rows":['])
    separator = ""
    async for batch in answer.batches:
        lines = ",".join(f"[{','.join('null' if v is None else v for v in row)}]" for row in batch)
        terminal.write([f"{separator}{lines}".encode()])
        separator = ","
    terminal.write([b"]}\n"])


_PRINTERS: dict[Shape, Callable[[Answer], Awaitable[None]]] = {
    Shape.TABLE: _print_table,
    Shape.CSV: _print_csv,
    Shape.JSON: _print_json,
}


def _given(queries: list[str] | None, file: Path | None) -> Iterator[str]:
    if queries:
        return statements.each(
            line for query in queries for line in (*query.splitlines(keepends=True), ";\n")
        )
    try:
        text = sys.stdin.read() if file is None or str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Exit(f"{file}: {getattr(error, 'strerror', None) or error}", USAGE) from None
    return statements.each(iter(text.splitlines(keepends=True)))


def _typed() -> Iterator[str]:
    """Lines from the terminal, with history and editing where Python has them."""
    with suppress(ImportError):
        import readline  # noqa: F401  # importing it makes input() edit lines
    terminal.say(HELP)
    while True:
        try:
            yield input(PROMPT) + "\n"
        except EOFError:
            sys.stdout.write("\n")
            return
