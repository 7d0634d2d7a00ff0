"""The tables of rows are what `replay.relations` declares, and hold what it makes."""

import pytest
from sqlalchemy import CheckConstraint, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel, col, select

from models import reader
from models.db import Database
from models.ids import new_id
from models.rows import MODELS
from replay.relations import TABLES
from tests.replay.rows import SQL_TYPES

_COLUMNS = text(
    """
    SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull, col_description(attrelid, attnum)
    FROM pg_attribute WHERE attrelid = CAST(:table AS regclass) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
    """
)
_CONSTRAINTS = text(
    """
    SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid = CAST(:table AS regclass) AND contype <> 'n'
    """
)
_INDEXES = text(
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = :schema AND tablename = :table"
)


async def described(connection: AsyncConnection, schema: str, table: str) -> list[object]:
    """All that a table of rows is, but for its comment."""
    found: list[object] = []
    for query in (_COLUMNS, _CONSTRAINTS, _INDEXES):
        values = {"table": f'"{schema}"."{table}"'} if query is not _INDEXES else {"table": table}
        rows = await connection.execute(query, {"schema": schema, **values} if query is _INDEXES else values)
        found.append(sorted(str(tuple(row)).replace(f"{schema}.", "") for row in rows))
    return found


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
async def test_a_table_has_the_columns_that_are_declared(database: Database, table: object) -> None:
    declared = next(one for one in TABLES if one is table)
    async with database.autocommit() as connection:
        rows = (await connection.execute(_COLUMNS, {"table": declared.name})).all()
        comment = await connection.execute(
            text("SELECT obj_description(CAST(:table AS regclass))"), {"table": declared.name}
        )
        assert comment.scalar_one() == declared.comment
    assert tuple(rows[0]) == ("replay_id", "uuid", False, "the recording's id")
    assert [tuple(row) for row in rows[1:]] == [
        (column.name, SQL_TYPES[column.kind], column.nullable, column.comment) for column in declared.columns
    ]


async def test_every_column_that_people_may_read_has_a_comment(database: Database) -> None:
    async with database.autocommit() as connection:
        for name in (*reader.TABLES, *reader.VIEWS, reader.READABLE):
            for column, *_, comment in await connection.execute(_COLUMNS, {"table": name}):
                assert comment, (name, column)
            about = text("SELECT obj_description(CAST(:table AS regclass), 'pg_class')")
            assert (await connection.execute(about, {"table": name})).scalar_one()


async def test_the_migration_makes_the_same_constraints_and_indexes_as_the_models(database: Database) -> None:
    tables = [model.__table__ for model in MODELS.values()]  # type: ignore[attr-defined]
    async with database.engine.connect() as connection:
        await connection.execute(text("CREATE SCHEMA made"))
        await connection.execute(text("SET LOCAL search_path TO made, public"))
        await connection.run_sync(
            lambda sync: SQLModel.metadata.create_all(sync, tables=tables, checkfirst=False)
        )
        for table in MODELS:
            assert await described(connection, "made", table) == await described(connection, "public", table)
        await connection.rollback()


async def test_a_name_is_one_of_its_enum(database: Database) -> None:
    checks = [
        (model, constraint)
        for model in MODELS.values()
        for constraint in model.__table__.constraints  # type: ignore[attr-defined]
        if isinstance(constraint, CheckConstraint)
    ]
    assert len(checks) == 8
    with pytest.raises(IntegrityError, match="ck_event_type"):
        async with database.transaction() as session:
            session.add(MODELS["event"](replay_id=new_id(), event_no=0, type="no such type", timestamp=0))


async def test_what_came_beside_the_events_has_a_key_without_an_event(database: Database) -> None:
    model, id_ = MODELS["console_log"], new_id()
    async with database.transaction() as session:
        session.add(model(replay_id=id_, event_no=None, position=0, level="error", args=[{"a": 1}]))
    async with database.reading() as session:
        (found,) = (await session.execute(select(model))).scalars()
    assert found.model_dump(exclude={"replay_id"}) == {
        "event_no": None,
        "position": 0,
        "level": "error",
        "timestamp": None,
        "args": [{"a": 1}],
        "trace": None,
        "rest": None,
    }
    with pytest.raises(IntegrityError, match="uq_console_log_key"):
        async with database.transaction() as session:
            session.add(model(replay_id=id_, event_no=None, position=0))


async def test_text_of_any_length_has_room_in_every_index(database: Database) -> None:
    long = "".join(chr(0x4E00 + n % 20_000) for n in range(1_000_000))
    async with database.transaction() as session:
        session.add(MODELS["meta_event"](replay_id=new_id(), event_no=0, href=long))
        session.add(MODELS["console_log"](replay_id=new_id(), event_no=0, position=0, level=long))
    href = col(MODELS["meta_event"].href)  # type: ignore[attr-defined]
    async with database.reading() as session:
        assert len((await session.execute(select(href).where(href == long))).all()) == 1
