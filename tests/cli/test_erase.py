"""Holding and erasing from a terminal, against a real deck."""

from uuid import uuid4

from tests import fixtures
from tests.cli.conftest import Shelf

LOGIN = fixtures.RECORDINGS / "login.json"


async def sent(shelf: Shelf, name: str = "login.json") -> dict[str, str]:
    said = await shelf.tapedeck("send", LOGIN, "--name", name, "--again", "--json")
    assert said.status == 0, said.err
    made: dict[str, str] = said.lines[0]
    return made


async def test_what_is_on_hold_is_deleted_once_it_is_released(shelf: Shelf) -> None:
    id_ = (await sent(shelf))["id"]
    said = await shelf.tapedeck("hold", id_)
    assert (said.status, said.out.decode()) == (0, f"held  {id_}\n")
    refused = await shelf.tapedeck("delete", "--yes", id_)
    assert refused.status == 1
    assert "on hold" in refused.err
    assert "tapedeck hold --release" in refused.err
    absent = str(uuid4())
    released = await shelf.tapedeck("hold", "--release", "--json", absent, id_)
    assert (released.status, released.json) == (1, {"released": [id_]})
    assert (await shelf.tapedeck("delete", "--yes", id_)).status == 0


async def test_an_erasure_asks_goes_on_and_ends_in_a_certificate(shelf: Shelf) -> None:
    gone, held = await sent(shelf), await sent(shelf, "held")
    await shelf.tapedeck("hold", held["id"])
    of_user = ("erase", "--user", gone["user_id"])
    seen = await shelf.tapedeck(*of_user, "--dry-run")
    assert seen.out.startswith(b"1 recording (")
    assert seen.out.endswith(b", but not 1 on hold\n")
    preview = (await shelf.tapedeck(*of_user, "--dry-run", "--json")).json
    assert (preview["recordings"], preview["on_hold"]) == (1, 1)
    unasked = await shelf.tapedeck(*of_user)
    assert (unasked.status, unasked.out) == (2, b"")
    assert "use --yes" in unasked.err
    assert await shelf.names() == ["held", "login.json"]

    said = await shelf.tapedeck(*of_user, "--yes")
    assert said.status == 0, said.err
    shown = said.out.decode()
    assert "2 found, 1 erased, 1 on hold" in shown
    assert "before 1 recording, 0 purged; after 0 recordings, 1 purged" in shown
    assert gone["id"] in shown
    assert await shelf.names() == ["held"]
    erasure_id = said.err.split()[2].rstrip(";")
    again = await shelf.tapedeck("erase", "--show", erasure_id)
    assert again.out == said.out


async def test_who_does_not_wait_looks_later(shelf: Shelf) -> None:
    made = await sent(shelf)
    begun = await shelf.tapedeck("erase", "--project", made["project_id"], "--yes", "--no-wait", "--json")
    assert (begun.status, begun.json["state"], begun.json["certificate"]) == (0, "running", None)
    done = (await shelf.tapedeck("erase", "--show", begun.json["id"], "--json")).json
    assert done["state"] == "done"
    assert [one["id"] for one in done["certificate"]["recordings"]] == [made["id"]]


async def test_one_subject_has_to_be_named(shelf: Shelf) -> None:
    for options in ((), ("--session", "s", "--fingerprint", "f"), ("--user", "kim@example.com")):
        said = await shelf.tapedeck("erase", "--yes", *options)
        assert (said.status, said.out) == (2, b"")
    said = await shelf.tapedeck("erase", "--yes", "--tenant", uuid4())
    assert (said.status, said.err.count("\n")) == (1, 1)
    assert "must be the tenant that the key belongs to" in said.err
    said = await shelf.tapedeck("erase", "--show", uuid4())
    assert said.status == 1
    assert "no such erasure" in said.err
