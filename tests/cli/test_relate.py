"""`tapedeck relate` and `tapedeck projects relational`, against a real deck."""

import asyncio
import json
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import text

from models.db import Database
from tests.cli.conftest import Shelf, Tapedeck
from tests.deck import Deck
from tests.factories import events

PATIENCE_S = 30


async def has_rows(deck: Deck, recording_id: str, count: int) -> None:
    """Wait until so many events of a recording are rows."""
    database = Database(deck.database_url)
    asked = text("SELECT count(*) FROM event WHERE replay_id = :id").bindparams(id=UUID(recording_id))
    async with asyncio.timeout(PATIENCE_S), database.autocommit() as connection:
        while (await connection.execute(asked)).scalar_one() != count:
            await asyncio.sleep(0.05)
    await database.close()


async def send(tapedeck: Tapedeck) -> tuple[str, str]:
    """A recording of four events, ready; and its project."""
    path = tapedeck.folder / "four.json"
    path.write_text(json.dumps(events(4)))
    sent = await tapedeck("send", path, "--again", "--json")
    assert sent.status == 0, sent.err
    return sent.lines[0]["id"], sent.lines[0]["project_id"]


async def test_recordings_get_their_rows_and_what_cannot_is_told(deck: Deck, shelf: Shelf) -> None:
    tapedeck = shelf.tapedeck
    (id_, _), absent = await send(tapedeck), uuid4()
    said = await tapedeck("relate", absent, id_)
    assert (said.status, said.out.decode()) == (1, f"{id_}  will have its rows\n")
    assert str(absent) in said.err
    await has_rows(deck, id_, 4)
    assert (await tapedeck("relate", "--json", id_)).lines == [{"id": id_, "status": "ready"}]


async def test_a_project_that_wants_rows_of_all_its_recordings(
    deck: Deck, shelf: Shelf, tmp_path: Path
) -> None:
    admin = Tapedeck(tmp_path, DATABASE_URL=deck.database_url)
    _, project = await send(shelf.tapedeck)
    said = await admin("projects", "relational", project, "on")
    assert said.status == 0, said.err
    assert said.out.decode().endswith("rows of all recordings\n")
    assert "all recordings" in (await admin("projects", "list")).out.decode()
    id_, _ = await send(shelf.tapedeck)
    await has_rows(deck, id_, 4)
    assert not (await admin("projects", "relational", project, "off", "--json")).json["relational"]
    assert (await admin("projects", "relational", project, "perhaps")).status == 2
    assert "there is no project" in (await admin("projects", "relational", uuid4(), "on")).err
