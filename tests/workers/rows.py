"""The rows of a recording, as SELECTs give them back, and what they make."""

from collections import defaultdict
from typing import Any
from uuid import UUID

from sqlalchemy import text

from models.db import Database
from replay.relations import TABLES, Row, log_of, recompose
from replay.relations.columns import Column, Kind
from replay.relations.logs import ConsoleLog, NetworkRequest


def _selected(column: Column) -> str:
    return f'"{column.name}"::text' if column.kind is Kind.JSON else f'"{column.name}"'


async def rows(db: Database, replay_id: UUID) -> list[Row]:
    """All rows of a recording, jsonb as text."""
    found: list[Row] = []
    async with db.autocommit() as connection:
        for table in TABLES:
            columns = ", ".join(map(_selected, table.columns))
            wanted = text(f"SELECT {columns} FROM {table.name} WHERE replay_id = :id")
            result = await connection.execute(wanted, {"id": replay_id})
            found += [table.row(*row) for row in result]
    return found


async def events(db: Database, replay_id: UUID) -> list[bytes]:
    """The events, made of the rows."""
    by_event = defaultdict[int, list[Row]](list)
    for row in await rows(db, replay_id):
        if row.event_no is not None:
            by_event[row.event_no].append(row)
    assert sorted(by_event) == list(range(len(by_event)))
    return [recompose(by_event[number]) for number in range(len(by_event))]


async def logs(db: Database, replay_id: UUID) -> tuple[list[bytes], list[bytes]]:
    """Console and network logs from beside the events, made of the rows."""
    beside = sorted(
        (row for row in await rows(db, replay_id) if row.event_no is None), key=lambda row: row.position
    )
    made: dict[type[Any], list[bytes]] = {ConsoleLog: [], NetworkRequest: []}
    for row in beside:
        made[type(row)].append(log_of(row))
    return made[ConsoleLog], made[NetworkRequest]
