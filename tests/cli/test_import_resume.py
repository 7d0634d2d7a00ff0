"""An import that is interrupted, in whatever way, and goes on: each recording once."""

import asyncio
import json
import random
import signal
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.importing.journal import FILE, Journal
from models.db import Database
from tests.cli.conftest import COMMAND, Shelf, Tapedeck
from tests.cli.imports import COMPRESS, recording, tarred, zipped
from tests.deck import Deck

COUNT = 60
NAMES = sorted(f"{number}.json" for number in range(COUNT))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """COUNT recordings: some as files, some in a zip, some in a tar."""
    folder = tmp_path / "in"
    folder.mkdir()
    members = {f"{number}.json": recording(number, 200) for number in range(COUNT)}
    for name in NAMES[:10]:
        (folder / name).write_bytes(members.pop(name))
    (folder / "a.zip").write_bytes(zipped({name: members.pop(name) for name in NAMES[10:30]}))
    (folder / "b.tar.gz").write_bytes(COMPRESS["gz"](tarred(members)))
    return folder


async def begin(shelf: Shelf, folder: Path, *options: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        COMMAND, "import", folder, *options, env=shelf.tapedeck.environment, cwd=folder.parent,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def sent(process: asyncio.subprocess.Process, count: int) -> None:
    """Wait until so many recordings are sent."""
    assert process.stdout
    for _ in range(count):
        assert await process.stdout.readline()


async def test_kill_9_at_any_moment_and_again_sends_each_recording_once(shelf: Shelf, folder: Path) -> None:
    for _ in range(4):
        process = await begin(shelf, folder, "--limit", "25")
        await sent(process, random.randrange(1, 12))
        process.kill()
        await process.communicate()
    said = await shelf.tapedeck("import", "--json", folder)
    assert (said.status, said.err) == (0, "")
    summary = said.lines[-1]["summary"]
    assert summary["sent"] + summary["already_there"] == COUNT
    assert await shelf.names() == NAMES


async def test_what_only_the_deck_knows_of_is_not_sent_twice(
    shelf: Shelf, folder: Path, tmp_path: Path
) -> None:
    assert (await shelf.tapedeck("import", folder)).status == 0
    journal = tmp_path / "home" / FILE
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:30]) + lines[30][:50])  # as a crash leaves it
    said = await shelf.tapedeck("import", "--json", folder)
    assert said.lines[-1]["summary"]["already_there"] == COUNT
    assert len(journal.read_bytes().splitlines()) == COUNT + 1
    assert await shelf.names() == NAMES


async def test_days_later_the_journal_knows_what_was_sent(
    shelf: Shelf, folder: Path, deck: Deck, tmp_path: Path
) -> None:
    half = await shelf.tapedeck("import", "--limit", 30, "--journal", tmp_path / "mine", folder)
    assert half.status == 0
    db = Database(deck.database_url)
    async with db.transaction() as session:
        await session.execute(text("DELETE FROM idempotency_key"))  # as the sweeper does after a day
    await db.close()
    for path in folder.rglob("*.json"):
        path.rename(path.with_name(f"{path.stem}-renamed.json"))
    said = await shelf.tapedeck("import", "--json", "--journal", tmp_path / "mine", folder)
    assert said.lines[-1]["summary"]["already_there"] == 30
    assert len(await shelf.names()) == COUNT


async def test_ctrl_c_ends_in_order_and_says_how_to_go_on(shelf: Shelf, folder: Path) -> None:
    process = await begin(shelf, folder)
    await sent(process, 5)
    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()
    assert process.returncode == 130
    assert b" sent (" in out.splitlines()[-1]
    assert b"run it again to go on" in err
    assert b"Traceback" not in err
    names = await shelf.names()
    assert 5 <= len(names) == len(set(names)) < COUNT
    assert (await shelf.tapedeck("import", folder)).status == 0
    assert await shelf.names() == NAMES


async def test_an_import_survives_a_restart_of_the_deck(
    make_deck: Callable[..., Deck], against: Callable[..., Tapedeck], folder: Path
) -> None:
    deck = make_deck()
    await deck.start("web")
    shelf = Shelf(against(deck))
    process = await begin(shelf, folder)
    await sent(process, 5)
    await deck.restart("web")
    _, err = await process.communicate()
    assert process.returncode == 0
    assert err.count(b"cannot reach") <= COUNT
    assert await shelf.names() == NAMES


async def test_a_journal_that_cannot_be_written_stops_the_import(shelf: Shelf, folder: Path) -> None:
    for place in ("/dev/null", folder, folder / NAMES[0] / "below-a-file"):
        said = await shelf.tapedeck("import", "--journal", place, folder)
        assert said.status == 2
        assert str(place) in said.err
    assert await shelf.names() == []
    full = f"ulimit -f 2; exec {COMMAND} import --jobs 1 {folder}"
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", full, env=shelf.tapedeck.environment, stderr=-1
    )
    _, err = await process.communicate()
    assert process.returncode == 2
    assert b"stopped: " in err
    assert 1 <= len(await shelf.names()) < COUNT
    assert (await shelf.tapedeck("import", folder)).status == 0
    assert await shelf.names() == NAMES


@settings(deadline=None, max_examples=30)  # each line is synced to the disk
@given(
    contents=st.lists(
        st.binary(min_size=32, max_size=32).map(bytes.hex), min_size=1, max_size=6, unique=True
    ),
    data=st.data(),
)
def test_a_journal_knows_every_whole_line_wherever_it_was_torn(
    tmp_path_factory: pytest.TempPathFactory, contents: list[str], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("journal") / "new" / FILE
    made = {content: uuid4() for content in contents}
    with Journal(path, "here") as journal, Journal(path, "elsewhere") as other:
        for content, recording_id in made.items():
            journal.add(content, recording_id, "x \udcff".encode(errors="replace").decode())
            other.add(content, uuid4(), "y")
    text = path.read_bytes()
    cut = data.draw(st.integers(0, len(text)))
    path.write_bytes(text[:cut])
    whole = [json.loads(line) for line in text[:cut].split(b"\n")[:-1]]
    expected = {line["content"] for line in whole if line["target"] == "here"}
    with Journal(path, "here") as journal:
        known = {content for content in made if journal.get(content)}
        assert expected <= known <= set(contents)
        assert all(journal.get(content) == made[content] for content in known)
        for content in contents:
            journal.add(content, made[content], "again")
    with Journal(path, "here") as journal:
        assert {content: journal.get(content) for content in contents} == made
