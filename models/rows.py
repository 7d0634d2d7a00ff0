"""The rows of recordings: every event is in these tables, which are made from what `replay.relations` declares.

All are keyed by `replay_id`, the recording's id, and have no foreign key: rows come by COPY and go in bounded batches
(`models.relating`), the former under the recording's lock, the latter after its end. Who owns them is in `replay` alone
(`models.recording.Replay`, which is written when a complete session is accepted, too).

Rows count only while `recording.rows_tape_name` is `recording.tape_name`: when another tape takes the place of theirs,
they are hidden in the same moment, and `relate`, which does not die before that, removes them, then makes new ones.
"""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pydantic import create_model
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from replay.relations import TABLES
from replay.relations.columns import Column, Kind, Table
from replay.relations.comments import COMMENTS

_TYPES: dict[Kind, tuple[Any, Any]] = {
    Kind.KEY: (int, sa.BigInteger()),
    Kind.INTEGER: (int, sa.BigInteger()),
    Kind.DOUBLE: (float, sa.Double()),
    Kind.TEXT: (str, sa.Text()),
    Kind.FLAG: (bool, sa.Boolean()),
    Kind.NAME: (str, sa.Text()),
    Kind.JSON: (Any, JSONB()),
    Kind.INTEGERS: (list[int], ARRAY(sa.BigInteger())),
    Kind.TEXTS: (list[str], ARRAY(sa.Text())),
    Kind.REST: (str, sa.Text()),
}

# What people ask for, beyond the rows of a recording. Text of any length is found by its hash, or by a condition: a
# B-tree would refuse it.
_INDEXES: dict[str, tuple[sa.Index, ...]] = {
    "event": (sa.Index("ix_event_timestamp", "replay_id", "timestamp"),),
    "meta_event": (sa.Index("ix_meta_event_href", "href", postgresql_using="hash"),),
    "mouse_interaction_data": (sa.Index("ix_mouse_interaction_data_type", "type", "replay_id"),),
    "console_log": (
        sa.Index("ix_console_log_errors", "replay_id", postgresql_where=sa.text("level = 'error'")),
    ),
    "network_request": (sa.Index("ix_network_request_status", "status", "replay_id"),),
}


def row_model(table: Table) -> type[SQLModel]:
    """The model of one table of `replay.relations`.

    Where an event's number is null for what came beside the events, the key is a unique constraint that counts nulls.
    """
    key = ("replay_id", *table.key)
    in_key = {column.name for column in table.columns if column.nullable}.isdisjoint(key)
    constraints: list[Any] = [
        sa.CheckConstraint(f"{column.name} IN ({_quoted(column)})", name=column.name)
        for column in table.columns
        if column.kind is Kind.NAME
    ]
    if not in_key:
        constraints.append(
            sa.UniqueConstraint(*key, name=f"uq_{table.name}_key", postgresql_nulls_not_distinct=True)
        )
    replay_id = sa.Column(
        "replay_id", sa.Uuid(), primary_key=in_key, nullable=False, comment=COMMENTS["replay_id"]
    )
    columns = [replay_id] + [
        sa.Column(
            column.name,
            _TYPES[column.kind][1],
            primary_key=in_key and column.name in key,
            autoincrement=False,
            nullable=column.nullable,
            comment=column.comment,
        )
        for column in table.columns
    ]
    fields: dict[str, Any] = {"replay_id": (UUID, Field(sa_column=replay_id))}
    for column, sa_column in zip(table.columns, columns[1:], strict=True):
        python_type = _TYPES[column.kind][0]
        fields[column.name] = (
            (python_type | None, Field(default=None, sa_column=sa_column))
            if column.nullable
            else (python_type, Field(sa_column=sa_column))
        )
    base = type(
        table.row.__name__,
        (SQLModel,),
        {
            "__module__": __name__,
            "__tablename__": table.name,
            "__table_args__": (*constraints, *_INDEXES.get(table.name, ()), {"comment": table.comment}),
            "__mapper_args__": {"primary_key": [column for column in columns if column.name in key]},
        },
    )
    return create_model(table.row.__name__, __base__=base, __cls_kwargs__={"table": True}, **fields)


def _quoted(column: Column) -> str:
    return ", ".join(f"'{name}'" for name in column.names.values())


MODELS: dict[str, type[SQLModel]] = {table.name: row_model(table) for table in TABLES}
"""The models of the rows, by the names of their tables."""
