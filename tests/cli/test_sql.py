"""`tapedeck sql`, and the page that teaches it: every query of docs/sql.md has the answer that stands there."""

import asyncio
import csv
import io
import json
import os
import pty
import re
from pathlib import Path
from uuid import uuid4

import pytest

from app.commands import statements
from models import reader
from models.db import Database
from models.job import JobKind
from models.reading import reader as reading
from models.recording import Source
from replay.relations import TABLES
from storage.protocol import Storage
from tests.cli.conftest import COMMAND, Tapedeck
from tests.factories import Deckhand, accepted, first_tenant, upload
from tests.models.steps import claimed
from workers.process import process
from workers.relate import relate
from workers.tools import Tools

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "sql.md").read_text()
RECORDINGS = ROOT / "tests" / "fixtures" / "recordings"
SAMPLE = ("shop.json", "login.json", "everything.json", "activity.json")
QUERIES = re.findall(r"```sql\n(.*?);\n```\n\n```\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
async def hand(database: Database, database_url: str) -> Deckhand:
    """The first tenant."""
    return await first_tenant(database, database_url)


@pytest.fixture
async def sample(database: Database, storage: Storage, hand: Deckhand) -> Deckhand:
    """The tenant whose replays the page asks about."""
    tools = Tools(database, storage, put_deadline_s=10, max_events_bytes=2**30, max_video_bytes=2**30)
    for name in SAMPLE:
        recorded = json.loads((RECORDINGS / name).read_bytes())
        recorded = recorded if isinstance(recorded, list) else recorded["events"]
        start = recorded[0]["timestamp"]
        logs = {
            "console_logs": [
                {"level": "error", "args": ["card refused", {"code": 402}], "timestamp": start + 900}
            ],
            "network_logs": [
                {
                    "url": "https://shop.example/pay",
                    "method": "POST",
                    "status": 402,
                    "duration": 200,
                    "timestamp": start + 800,
                },
                {
                    "url": "https://shop.example/cart",
                    "method": "GET",
                    "status": 200,
                    "duration": 40,
                    "timestamp": start + 300,
                },
            ],
        }
        body = upload(recorded, **(logs if name == "shop.json" else {}))
        id_ = await accepted(database, hand, body, source=Source.REPLAY)
        await process(await claimed(database, id_, JobKind.PROCESS), tools)
        await relate(await claimed(database, id_, JobKind.RELATE), tools)
    return hand


@pytest.fixture
def sql(tmp_path: Path, database_url: str) -> Tapedeck:
    """The command where DATABASE_URL names the database."""
    return Tapedeck(tmp_path, DATABASE_URL=database_url)


async def test_the_page_s_answers_are_what_its_questions_give(
    sample: Deckhand, sql: Tapedeck, tmp_path: Path
) -> None:
    assert len(QUERIES) == 10
    (tmp_path / "questions.sql").write_text(";\n".join(query for query, _ in QUERIES))
    said = await sql("sql", "--tenant", sample.tenant_id, "questions.sql")
    assert (said.status, said.err) == (0, "")
    assert said.out.decode() == "".join(answer for _, answer in QUERIES)


def test_the_picture_shows_every_table_and_joins_by_columns_that_are_there() -> None:
    columns = {table.name: {column.name for column in table.columns} | {"replay_id"} for table in TABLES}
    columns.setdefault("replay", {"replay_id"}).add("replay_id")
    drawn = re.findall(r"^    (\w+) [|}o]{2}--[|{o]{2} (\w+) : (.*)$", PAGE, re.MULTILINE)
    assert {name for one, other, _ in drawn for name in (one, other)} == set(columns)
    for one, other, by in drawn:
        match by.strip('"').split():
            case [name]:
                assert name in columns[one] & columns[other], (one, other)
            case ["its", theirs, "is", name]:
                assert theirs in columns[one], (one, other)
                assert name in columns[other], (one, other)
            case [name, "is", "its", theirs]:
                assert name in columns[one], (one, other)
                assert theirs in columns[other], (one, other)
            case _:
                pytest.fail(f"{one}, {other}: {by}")


async def test_the_page_tells_the_views_columns(database: Database, hand: Deckhand) -> None:
    shared = {"replay_id", "tenant_id", "project_id", "event_no", "timestamp", "offset_ms"}
    for view in reader.VIEWS:
        (told,) = re.findall(rf"^\| `{view}` \| (.*) \|$", PAGE, re.MULTILINE)
        async with (
            reading(database, hand.tenant_id, timeout_s=5) as one,
            one.ask(f"TABLE {view}") as answer,
        ):
            assert set(answer.columns) == shared | set(re.findall(r"`(\w+)`", told))


async def test_answers_are_tables_csv_or_json(hand: Deckhand, sql: Tapedeck) -> None:
    query = "SELECT 1 AS one, NULL AS \"a, b\", E'x\\ny' AS text, '{\"a\": [true]}'::jsonb AS json"
    ask = ("sql", "--tenant", hand.tenant_id, "-c", query)
    assert (await sql(*ask)).out.decode() == 'one  a, b  text  json\n1          x↵y   {"a": [true]}\n'
    rows = list(csv.reader(io.StringIO((await sql(*ask, "--csv")).out.decode())))
    assert rows == [["one", "a, b", "text", "json"], ["1", "", "x\ny", '{"a": [true]}']]
    said = await sql(*ask, "-c", "TABLE event", "--json")
    assert said.lines == [
        {"columns": ["one", "a, b", "text", "json"], "rows": [[1, None, "x\ny", {"a": [True]}]]},
        {"columns": ["replay_id", *next(t for t in TABLES if t.name == "event").row._fields], "rows": []},
    ]
    assert (await sql("sql", "--tenant", hand.tenant_id, "-c", "TABLE event")).out == b"no rows\n"


async def test_tables_and_columns_are_listed_with_their_comments(hand: Deckhand, sql: Tapedeck) -> None:
    ask = ("sql", "--tenant", hand.tenant_id, "--json", "-c")
    listed = {name: (kind, comment) for name, kind, comment in (await sql(*ask, r"\d")).json["rows"]}
    assert set(listed) == {*reader.TABLES, *reader.VIEWS, reader.READABLE}
    assert listed["click"] == ("view", "A click of a mouse, a pen or a finger.")
    columns = (await sql(*ask, r"\d meta_event")).json["rows"]
    assert ["width", "double precision", "", "CSS px"] in columns
    assert [name for name, _, key, _ in columns if key] == ["replay_id", "event_no"]
    assert (await sql(*ask, r"\d api_key")).json["rows"] == []
    assert (await sql(*ask, r"\d x')")).json["rows"] == []


async def test_what_goes_wrong_is_one_line(hand: Deckhand, sql: Tapedeck, tmp_path: Path) -> None:
    (tmp_path / "two.sql").write_text("SELECT 1;\nSELECT nothing;\nSELECT 2;\n")
    tenant = ("sql", "--tenant", hand.tenant_id)
    absent = uuid4()
    for arguments, ends, told in (
        ((*tenant, "two.sql"), 1, 'column "nothing" does not exist (line 1, column 8)'),
        ((*tenant, "-c", "SELECT * FROM api_key"), 1, "permission denied for table api_key"),
        ((*tenant, "-c", "DELETE FROM event"), 1, "only statements that give rows"),
        ((*tenant, "-c", "RESET ROLE"), 1, "only statements that give rows"),
        ((*tenant, "-c", "SELECT pg_sleep(60)::text", "--timeout", "0.2"), 1, "statement timeout"),
        ((*tenant, "-c", r"\x"), 1, r"\d lists tables"),
        ((*tenant, "absent.sql"), 2, "absent.sql: No such file"),
        ((*tenant, "-c", "SELECT 1", "--csv", "--json"), 2, "not both"),
        (
            ("sql", "--tenant", absent, "-c", "SELECT 1"),
            1,
            f"there is no tenant {absent}; see `tapedeck tenants list`",
        ),
    ):
        said = await sql(*arguments)
        assert (said.status, said.err.count("\n")) == (ends, 1), said.err
        assert told in said.err
        assert said.err.startswith("tapedeck: ")
    assert (await sql(*tenant, "two.sql")).out == b"?column?\n1\n"
    assert (await sql(*tenant, stdin=b"SELECT 3 AS x; SELECT 4 AS y")).out == b"x\n3\ny\n4\n"


async def test_who_reads_no_further_hears_of_no_error(hand: Deckhand, sql: Tapedeck) -> None:
    query = "SELECT repeat('x', 1000) FROM generate_series(1, 50000)"
    process = await asyncio.create_subprocess_shell(
        f'{COMMAND} sql --tenant {hand.tenant_id} --csv -c "{query}" | head -c 10',
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=sql.environment,
    )
    assert await process.communicate() == (b"repeat\nxxx", b"")


async def test_at_a_terminal_it_goes_on_after_an_error(hand: Deckhand, sql: Tapedeck) -> None:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(COMMAND, "sql", "--tenant", str(hand.tenant_id)),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**sql.environment, "TERM": "dumb"},
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    for typed in (b"SELECT 1 / 0;\n", b"SELECT 'multi' ||\n", b"'line' AS x;\n", b"\\q\n"):
        said = b""
        while not said.rstrip().endswith(b"=>"):
            said += await asyncio.to_thread(os.read, ours, 1000)
        os.write(ours, typed)
        shown += said
    while True:
        try:
            shown += await asyncio.to_thread(os.read, ours, 1000)
        except OSError:  # Linux: the other end is closed
            break
    assert await process.wait() == 0
    os.close(ours)
    assert b"tapedeck: division by zero" in shown
    assert b"multiline" in shown


@pytest.mark.parametrize(
    ("typed", "whole", "left"),
    [
        ("SELECT 1; SELECT 2;", ["SELECT 1", "SELECT 2"], ""),
        ("SELECT ';'; x", ["SELECT ';'"], " x"),
        ("SELECT E'\\';' ; ;", ["SELECT E'\\';'"], ""),
        ('SELECT ";" -- ;\n, 1;', ['SELECT ";" -- ;\n, 1'], ""),
        ("SELECT $a$;$$;$a$, $$;$$;", ["SELECT $a$;$$;$a$, $$;$$"], ""),
        ("SELECT /* ; /* ; */ ; */ 1;", ["SELECT /* ; /* ; */ ; */ 1"], ""),
        ("SELECT 'open; ", [], "SELECT 'open; "),
        ("SELECT /* open; ", [], "SELECT /* open; "),
        ("SELECT a$b$; -- nothing", ["SELECT a$b$"], ""),
    ],
)
def test_statements_are_cut_where_they_end(typed: str, whole: list[str], left: str) -> None:
    assert statements.cut(typed) == (whole, left)
