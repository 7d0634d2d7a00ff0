"""`tapedeck mask` and `tapedeck projects privacy`, against a real deck."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.cli.conftest import Shelf, Tapedeck
from tests.deck import Deck
from tests.factories import events

TOLD = {"type": 5, "data": {"tag": "form", "payload": {"ssn": "123-45-6789"}}, "timestamp": 1_700_000_001_500}


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.json"
    path.write_text('{"keys": ["ssn"]}')
    return path


async def send(tapedeck: Tapedeck, **options: Any) -> dict[str, Any]:
    """A recording that tells a number."""
    path = tapedeck.folder / "told.json"
    path.write_text(json.dumps([*events(), TOLD]))
    sent = await tapedeck("send", path, "--again", "--json")
    assert sent.status == 0, sent.err
    found: dict[str, Any] = sent.lines[0]
    return found


async def test_a_recording_is_masked_for_good(shelf: Shelf, rules: Path) -> None:
    tapedeck = shelf.tapedeck
    id_ = (await send(tapedeck))["id"]
    tried = await tapedeck("mask", "--rules", rules, "--dry-run", id_)
    assert (tried.status, tried.err) == (0, "")
    first, *places = tried.out.decode().splitlines()
    assert first == f"{id_}  would mask 1 key"
    assert len(places) == 1
    assert places[0].startswith("  events[")
    assert b"6789" not in tried.out
    assert b"123-45-6789" in (await tapedeck("events", id_)).out

    asked = await tapedeck("mask", "--rules", rules, id_)
    assert (asked.status, asked.out) == (2, b"")
    assert "use --yes" in asked.err
    done = await tapedeck("mask", "--rules", rules, "--yes", "--wait", id_)
    assert (done.status, done.out.decode(), done.err) == (0, f"{id_}  masked: 1 key\n", "")
    read = (await tapedeck("events", id_)).out
    assert b"6789" not in read
    assert len(json.loads(read)) == 4
    again = await tapedeck("mask", "--rules", rules, "--dry-run", "--json", id_)
    assert again.lines == [{"id": id_, "masked": {}, "places": []}]
    assert (await tapedeck("mask", "--yes", id_)).out.decode() == f"{id_}  will be masked\n"


async def test_all_recordings_of_a_project(shelf: Shelf, rules: Path) -> None:
    tapedeck = shelf.tapedeck
    made = [await send(tapedeck) for _ in range(3)]
    project = made[0]["project_id"]
    tried = await tapedeck("mask", "--rules", rules, "--dry-run", "--json", "--project", project)
    assert [(line["id"], line["masked"]) for line in tried.lines] == [
        (one["id"], {"key": 1}) for one in reversed(made)
    ]
    done = await tapedeck("mask", "--rules", rules, "--yes", "--wait", "--json", "--project", project)
    assert done.lines == [{"id": one["id"], "masked": {"key": 1}} for one in reversed(made)]
    nothing = await tapedeck("mask", "--yes", "--project", uuid4())
    assert (nothing.status, nothing.out) == (0, b"")
    assert "no recordings" in nothing.err


async def test_what_cannot_be_masked_is_told_and_the_others_are_masked(shelf: Shelf, rules: Path) -> None:
    tapedeck = shelf.tapedeck
    id_, absent = (await send(tapedeck))["id"], uuid4()
    for options in (["--dry-run"], ["--yes", "--wait"]):
        said = await tapedeck("mask", "--rules", rules, "--json", *options, absent, id_)
        assert said.status == 1
        assert f"{absent}: There is no such recording." in said.err
        assert [line["id"] for line in said.lines] == [id_]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ('{"words": []}', "unknown field"),
        ('{"selectors": [".a", "*"]}', "selectors[1]: "),
        ('{"patterns": [{"name": "x", "pattern": "("}]}', "patterns[0].pattern: "),
        (None, "No such file"),
    ],
)
async def test_rules_that_cannot_be_used_are_refused_before_anything_is_asked(
    tapedeck: Tapedeck, rules: Path, content: str | None, message: str
) -> None:
    if content is None:
        rules.unlink()
    else:
        rules.write_text(content)
    for command in (
        ("mask", "--yes", "--rules", rules, uuid4()),
        ("projects", "privacy", uuid4(), "--rules", rules),
    ):
        said = await tapedeck(*command)
        assert said.status == 2
        assert f"tapedeck: {rules}: " in said.err
        assert message in said.err


async def test_recordings_or_a_project_are_named(tapedeck: Tapedeck) -> None:
    for arguments in ([], [uuid4(), "--project", uuid4()]):
        said = await tapedeck("mask", "--yes", *arguments)
        assert (said.status, said.out) == (2, b"")
        assert "--project" in said.err


async def test_a_project_s_privacy_is_shown_changed_and_listed(
    deck: Deck, shelf: Shelf, against: Callable[..., Tapedeck], rules: Path
) -> None:
    admin = Tapedeck(rules.parent, DATABASE_URL=deck.database_url)
    project = (await send(shelf.tapedeck))["project_id"]

    async def privacy(*options: object) -> str:
        said = await admin("projects", "privacy", project, *options)
        assert (said.status, said.err) == (0, "")
        return said.out.decode()

    untouched = "masking  default\nrules    none\nip       full\n"
    assert await privacy() == untouched
    changed = 'masking  strict\nrules    {"keys":["ssn"]}\nip       truncated\n'
    assert await privacy("--masking", "strict", "--rules", rules, "--ip", "truncated") == changed
    assert await privacy() == changed
    assert await privacy("--ip", "off") == changed.replace("truncated", "off")
    shown = await admin("projects", "privacy", project, "--rules", "none", "--json")
    listed = (await admin("projects", "list", "--json")).json["projects"]
    assert shown.json in listed
    of_shown = shown.json["masking"], shown.json["mask_rules"], shown.json["ip_addresses"]
    assert of_shown == ("strict", {}, "off")
    assert b"strict" in (await admin("projects", "list")).out
    assert await privacy("--masking", "default", "--ip", "full") == untouched

    absent = await admin("projects", "privacy", uuid4(), "--ip", "off")
    assert absent.status == 1
    assert "tapedeck projects list" in absent.err
    assert (await admin("projects", "privacy", project, "--masking", "some")).status == 2
