"""Postgres takes the rows as their tables are declared, and gives them back so that the events come back."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.relations import TABLES, Row, decompose, recompose
from replay.relations.columns import Table
from tests.replay.rows import SQL_TYPES, exact
from tests.replay.rrweb_events import events
from tests.servers import Addresses


@settings(max_examples=5)
@given(recording=st.lists(events, min_size=50, max_size=100))
def test_postgres_gives_every_event_back(servers: Addresses, recording: list[bytes]) -> None:
    rows = [row for event_no, event in enumerate(recording) for row in decompose(event_no, event)]
    by_event = defaultdict[int, list[Row]](list)
    for row in asyncio.run(_stored(servers.database_url, rows)):
        by_event[row[0]].append(row)
    for event_no, event in enumerate(recording):
        assert exact(recompose(by_event[event_no])) == exact(event)


async def _stored(url: str, rows: Iterable[Row]) -> list[Row]:
    """The rows as they come back from temporary tables of a real server."""
    by_table = defaultdict[type, list[Row]](list)
    for row in rows:
        by_table[type(row)].append(row)
    connection = await asyncpg.connect(url)
    try:
        found: list[Row] = []
        for table in TABLES:
            await connection.execute(_create(table))
            names = [column.name for column in table.columns]
            await connection.copy_records_to_table(table.name, records=by_table[table.row], columns=names)
            found += _rows(table, await connection.fetch(f"SELECT * FROM {table.name} ORDER BY random()"))
        return found
    finally:
        await connection.close()


def _create(table: Table) -> str:
    columns = ", ".join(
        f'"{column.name}" {SQL_TYPES[column.kind]}{"" if column.nullable else " NOT NULL"}'
        for column in table.columns
    )
    key = ", ".join(f'"{name}"' for name in table.key)
    return f"CREATE TEMPORARY TABLE {table.name} ({columns}, UNIQUE NULLS NOT DISTINCT ({key}))"


def _rows(table: Table, records: Sequence[Any]) -> list[Row]:
    return [table.row(*record) for record in records]
