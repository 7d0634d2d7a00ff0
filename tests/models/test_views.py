"""The views on the rows, and who sees what: on a real Postgres, with the rows of real recordings."""

import asyncio
import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from models import migrate, reader
from models.db import Database
from models.job import JobKind
from models.reading import Answer, BadQuery, Form, Reader
from models.reading import reader as reading
from models.recording import Source
from models.rows import MODELS
from storage.protocol import Storage
from tests.api.tenants import new_tenant
from tests.factories import START_MS, Deckhand, accepted, events, upload
from tests.models.steps import claimed
from tests.servers import Addresses, clone
from workers.process import process
from workers.relate import relate
from workers.tools import Tools

LOGS = {
    "console_logs": [
        {"level": "error", "args": ["card refused", {"code": 402}], "timestamp": START_MS + 5},
        {"level": "log", "args": ["hello"], "timestamp": START_MS + 6},
    ],
    "network_logs": [
        {
            "id": "a",
            "url": "https://x.example/pay",
            "method": "POST",
            "status": 402,
            "startTime": 10,
            "endTime": 30,
        },
        {"id": "b", "url": "https://x.example/", "method": "GET", "status": 200, "timestamp": START_MS},
        {"id": "c", "url": "https://x.example/gone", "method": "GET", "status": 0, "timestamp": START_MS + 9},
    ],
}


def _later(ms: int, type_: int, **data: Any) -> dict[str, Any]:
    return {"type": type_, "data": data, "timestamp": START_MS + ms}


DONE = [
    _later(2000, 3, source=2, type=2, id=1, x=10.5, y=20, pointerType=0),
    _later(2001, 3, source=2, type=3, id=1, x=10.5, y=20),
    _later(2500, 3, source=5, id=7, text="hello", isChecked=False),
    _later(3000, 4, href="https://app.example.com/login", width=1280, height=720),
    _later(3500, 4, href="https://app.example.com/cart", width=1280, height=720),
    _later(
        4000, 6, plugin="rrweb/console@1", payload={"level": "error", "payload": ['"boom"'], "trace": ["a:1"]}
    ),
    _later(5000, 5, tag="navigation", payload={"from": "/cart", "to": "/paid", "method": "push"}),
    _later(6000, 3, source=2, type=2, id=9, x=1, y=2),
]


@pytest.fixture
def tools(database: Database, storage: Storage) -> Tools:
    """What the jobs use."""
    return Tools(database, storage, put_deadline_s=10, max_events_bytes=2**30, max_video_bytes=2**30)


async def related(tools: Tools, hand: Deckhand, body: bytes | None = None) -> UUID:
    """A replay that has rows."""
    id_ = await accepted(tools.db, hand, body, source=Source.REPLAY)
    await process(await claimed(tools.db, id_, JobKind.PROCESS), tools)
    await relate(await claimed(tools.db, id_, JobKind.RELATE), tools)
    return id_


async def rows(one: Reader, query: str) -> list[tuple[str | None, ...]]:
    """The answer to a query."""
    async with one.ask(query) as answer:
        return [row async for batch in answer.batches for row in batch]


async def refused(one: Reader, query: str) -> str:
    """Why there is none."""
    with pytest.raises(BadQuery) as bad:
        await rows(one, query)
    assert "\n" not in str(bad.value)
    return str(bad.value)


async def test_what_people_ask_for_is_a_row_of_a_view(tools: Tools, hand: Deckhand) -> None:
    id_ = await related(tools, hand, upload([*events(), *DONE], **LOGS))
    async with reading(tools.db, hand.tenant_id, timeout_s=5) as one:
        assert await rows(
            one, "SELECT event_no, offset_ms, url, x, y, node_id, pointer_type FROM click ORDER BY 1"
        ) == [
            ("3", "2000", "https://app.example.com/login", "10.5", "20", "1", "mouse"),
            ("10", "6000", "https://app.example.com/cart", "1", "2", "9", None),
        ]
        assert await rows(one, "SELECT event_no, offset_ms, node_id, text, is_checked FROM input") == [
            ("5", "2500", "7", "hello", "false")
        ]
        assert await rows(one, "SELECT offset_ms, url, previous_url FROM navigation ORDER BY event_no") == [
            ("0", "https://app.example.com/login", None),
            ("3500", "https://app.example.com/cart", "https://app.example.com/login"),
            ("5000", "/paid", "/cart"),
        ]
        assert await rows(
            one, "SELECT event_no, offset_ms, message, trace FROM console_error ORDER BY 2"
        ) == [
            (None, "5", 'card refused {"code": 402}', None),
            ("8", "4000", '"boom"', "{a:1}"),
        ]
        assert await rows(
            one, "SELECT offset_ms, url, method, status, duration FROM failed_request ORDER BY url"
        ) == [
            ("9", "https://x.example/gone", "GET", "0", None),
            (None, "https://x.example/pay", "POST", "402", "20"),
        ]
        for view in reader.VIEWS:
            [found] = await rows(one, f"SELECT DISTINCT replay_id, tenant_id, project_id FROM {view}")
            assert found == (str(id_), str(hand.tenant_id), str(hand.api_key.project_id))


async def test_every_view_and_its_columns_are_explained(database: Database) -> None:
    async with database.autocommit() as connection:
        unexplained = await connection.execute(
            text(
                "SELECT name FROM unnest(CAST(:names AS text[])) name WHERE obj_description(name::regclass) IS NULL"
            ),
            {"names": list(reader.VIEWS)},
        )
        assert unexplained.scalars().all() == []


@pytest.mark.parametrize("what", ["another tape took its place", "it was deleted"])
async def test_rows_that_do_not_count_are_hidden(tools: Tools, hand: Deckhand, what: str) -> None:
    id_ = await related(tools, hand, upload([*events(), *DONE], **LOGS))
    change = "tape_name = 'another'" if what.startswith("another") else "deleted_at = now()"
    async with reading(tools.db, hand.tenant_id, timeout_s=5) as one:
        for table in ("replay", "event", "click", "failed_request"):
            assert await rows(one, f"SELECT count(*) FROM {table}") != [("0",)]
        connection = await asyncpg.connect(
            str(tools.db.engine.url.render_as_string(False)).replace("+asyncpg", "")
        )
        await connection.execute(f"UPDATE recording SET {change} WHERE id = $1", id_)
        for view in reader.VIEWS:  # whoever asks
            assert await connection.fetchval(f"SELECT count(*) FROM {view}") == 0
        await connection.close()
        for table in (*reader.TABLES, *reader.VIEWS):
            assert await rows(one, f"SELECT count(*) FROM {table}") == [("0",)]


async def test_a_tenant_sees_its_own_rows(tools: Tools, hand: Deckhand) -> None:
    other = await new_tenant(tools.db)
    ids = [await related(tools, owner, upload([*events(), *DONE], **LOGS)) for owner in (hand, other)]
    for owner, id_ in zip((hand, other), ids, strict=True):
        async with reading(tools.db, owner.tenant_id, timeout_s=5) as one:
            for table in ("replay", "event", "serialized_node", "console_log", *reader.VIEWS):
                assert await rows(one, f"SELECT DISTINCT replay_id FROM {table}") == [(str(id_),)]


async def test_another_tenant_s_id_without_its_key_shows_nothing(tools: Tools, hand: Deckhand) -> None:
    other = await new_tenant(tools.db)
    await related(tools, other)
    pretend = (
        f"WITH x AS MATERIALIZED (SELECT set_config('tapedeck.tenant_id', '{other.tenant_id}', true) AS id) "
    )
    async with reading(tools.db, hand.tenant_id, timeout_s=5) as one:
        assert await rows(
            one, pretend + "SELECT x.id, count(event_no) FROM x LEFT JOIN event ON true GROUP BY 1"
        ) == [(str(other.tenant_id), "0")]
        dynamic = "SELECT count(*) FROM ts_stat('SELECT to_tsvector(''simple'', ''row'') FROM event')"
        assert await rows(one, f"{pretend} SELECT id, ({dynamic} WHERE id > '') FROM x") == [
            (str(other.tenant_id), "0")
        ]
    async with reading(tools.db, other.tenant_id, timeout_s=5) as one:
        assert await rows(one, dynamic) == [("1",)]


async def test_the_reader_reads_rows_and_nothing_else(database: Database) -> None:
    async with database.autocommit() as connection:
        found = await connection.execute(
            text(
                f"""
                SELECT relname FROM pg_class WHERE relkind IN ('r', 'v', 'm', 'p', 'f', 'S') AND relnamespace = 'public'::regnamespace
                AND (has_table_privilege('{reader.ROLE}', oid, 'SELECT') OR has_any_column_privilege('{reader.ROLE}', oid, 'SELECT'))
                """
            )
        )
        assert set(found.scalars()) == {*MODELS, "replay", *reader.VIEWS, reader.READABLE}
        writable = await connection.execute(
            text(
                f"""
                SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')
                AND has_table_privilege('{reader.ROLE}', oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
                """
            )
        )
        assert writable.scalars().all() == []
        role = await connection.execute(
            text(
                f"SELECT rolcanlogin OR rolsuper OR rolcreaterole OR rolbypassrls FROM pg_roles WHERE rolname = '{reader.ROLE}'"
            )
        )
        assert role.scalar_one() is False


async def test_a_row_by_its_key_is_an_index_scan(tools: Tools, hand: Deckhand) -> None:
    id_ = await related(tools, hand, upload(events(300)))
    async with tools.db.autocommit() as connection:
        await connection.execute(text("ANALYZE"))
    async with reading(tools.db, hand.tenant_id, timeout_s=5) as one:
        for table in ("event", "mouse_position"):
            plan = await rows(
                one, f"EXPLAIN SELECT * FROM {table} WHERE replay_id = '{id_}' AND event_no = 7"
            )
            lines = [line or "" for (line,) in plan]
            assert any(f"Index Scan using pk_{table}" in line for line in lines), lines
            assert any("Index Cond" in line and "event_no = 7" in line for line in lines), lines


TRICKS = {
    "SET ROLE NONE": "only statements that give rows",
    "RESET ROLE": "only statements that give rows",
    "ROLLBACK": "only statements that give rows",
    "SELECT 1; RESET ROLE": "one statement at a time",
    "DO $$ BEGIN RESET ROLE; END $$": "only statements that give rows",
    "COPY (SELECT 1) TO PROGRAM 'true'": "only statements that give rows",
    "SELECT set_config('role', 'none', true)": "within security-definer function",
    "SELECT set_config('session_authorization', session_user::text, true)": "within security-definer function",
    "SELECT set_config('role', 'none', true), query_to_xml('SELECT * FROM api_key', true, true, '')::text": "security-definer",
    "SELECT set_config('role', 'none', true), (SELECT count(*) FROM ts_stat('SELECT to_tsvector(name) FROM api_key'))": "security-definer",
    "SELECT count(*) FROM ts_stat('SELECT to_tsvector(name) FROM api_key')": "permission denied for table api_key",
    "SELECT query_to_xml('SELECT * FROM api_key', true, true, '')::text": "permission denied for table api_key",
    "SELECT query_to_xml('RESET ROLE', true, true, '')::text": "RESET is not allowed",
    "SELECT query_to_xml('SET TRANSACTION READ WRITE', true, true, '')::text": "SET is not allowed",
    "SELECT 1 FROM tenant": "permission denied for table tenant",
    "SELECT 1 FROM recording": "permission denied for table recording",
    "SELECT 1 FROM payload": "permission denied for table payload",
    "SELECT secret_hash FROM api_key": "permission denied for table api_key",
    "SELECT * FROM pg_authid": "permission denied",
    "SELECT pg_read_file('/etc/passwd')": "permission denied",
    "SELECT lo_import('/etc/passwd')": "",
    "INSERT INTO event DEFAULT VALUES RETURNING 1": "",
    "WITH gone AS (DELETE FROM event RETURNING 1) SELECT * FROM gone": "",
    "UPDATE replay SET event_count = 0 RETURNING 1": "",
    "SELECT lo_create(0)": "read-only transaction",
    "SELECT pg_sleep(60)::text": "statement timeout",
    "SELECT set_config('statement_timeout', '0', false), pg_sleep(60)::text": "statement timeout",
    "SELECT $1::text": "stand for nothing",
    "SELECT ROW(1, 2)": "cast it",
    "SELEC 1": "line 1, column 1",
    "SELECT *\nFROM nowhere": "line 2, column 6",
    "SELECT 1 / 0": "division by zero",
    "SELECT 1 \0": "NUL",
    "": "only statements that give rows",
}


@pytest.mark.parametrize("trick", TRICKS)
async def test_no_trick_gets_out(database: Database, hand: Deckhand, trick: str) -> None:
    async with reading(database, hand.tenant_id, timeout_s=1) as one:
        assert TRICKS[trick] in await refused(one, trick)
        assert await rows(one, "SELECT current_user, current_setting('tapedeck.tenant_id')") == [
            (reader.ROLE, str(hand.tenant_id))
        ]


async def test_what_a_statement_sets_or_locks_ends_with_it(database: Database, hand: Deckhand) -> None:
    async with reading(database, hand.tenant_id, timeout_s=5) as one:
        await rows(one, "SELECT set_config('search_path', 'nowhere', false), pg_advisory_lock(7)::text")
        assert await rows(one, "SHOW search_path") == [('"$user", public',)]
        async with database.engine.connect() as connection:
            found = await connection.execute(text("SELECT pg_try_advisory_lock(7), pg_advisory_unlock(7)"))
            assert found.one() == (True, True)


async def test_values_come_as_text_or_as_json(database: Database, hand: Deckhand) -> None:
    query = "SELECT 1.5::float8 AS a, NULL::text AS b, '{\"x\": [1]}'::jsonb AS a, ARRAY['y'] AS d, 'z'::name, now() IS NULL"

    async def read(answer: Answer) -> tuple[Sequence[str], list[tuple[str | None, ...]]]:
        return answer.columns, [row async for batch in answer.batches for row in batch]

    async with reading(database, hand.tenant_id, timeout_s=5) as one:
        async with one.ask(query) as answer:
            columns, found = await read(answer)
        assert list(columns) == ["a", "b", "a", "d", "name", "?column?"]
        assert found == [("1.5", None, '{"x": [1]}', "{y}", "z", "false")]
        async with one.ask(query, Form.JSON) as answer:
            assert (await read(answer))[1] == [("1.5", None, '{"x": [1]}', '["y"]', '"z"', "false")]
        assert len(await rows(one, "SELECT * FROM generate_series(1, 2500)")) == 2500


async def test_a_user_who_may_make_no_role_is_told_how_to_have_it_made(servers: Addresses) -> None:
    name = f"poor_{os.getpid()}"
    url = await asyncio.to_thread(clone, servers, name)
    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'poor'")
    await connection.close()
    parts = urlsplit(url)
    place = f"/{name}?{parts.query}" if parts.query else f"/{name}"
    host = parts.netloc.rpartition("@")[2]
    told = await reader.allow(f"postgresql://{name}:poor@{host}{place}")
    assert told is not None
    assert f"GRANT {reader.ROLE} TO {name}" in told
    assert "\n" not in told


async def test_allowing_again_changes_nothing(database_url: str) -> None:
    assert await asyncio.to_thread(migrate.upgrade, database_url) is None
