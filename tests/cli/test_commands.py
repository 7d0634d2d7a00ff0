"""The commands against a real deck: what they print, and how they end."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app.wrappers import unwrap
from tests import fixtures
from tests.cli.conftest import COMMAND, Tapedeck
from tests.deck import Deck
from tests.factories import mask_nothing

Against = Callable[..., Tapedeck]
LOGIN = fixtures.RECORDINGS / "login.json"


def events_of(name: str) -> list[Any]:
    return [json.loads(bytes(event)) for event in unwrap(bytearray(fixtures.read(name))).events]


async def test_a_recording_s_way_from_file_to_file(deck: Deck, against: Against, tmp_path: Path) -> None:
    await mask_nothing(deck.database_url)
    tapedeck = against(deck)
    sent = await tapedeck("send", LOGIN, "--again")
    assert (sent.status, sent.err) == (0, "")
    assert b"ready" in sent.out
    assert b"114 events" in sent.out

    listed = (await tapedeck("list", "--limit", 1, "--json")).json["recordings"]
    assert [(recording["name"], recording["status"]) for recording in listed] == [("login.json", "ready")]
    recording_id = listed[0]["id"]
    assert (await tapedeck("show", recording_id, "--wait", "--json")).json == listed[0]
    shown = (await tapedeck("show", recording_id)).out.decode()
    assert "114 received, 114 stored, 0 duplicate, 0 rejected" in shown
    assert recording_id in (await tapedeck("list", "--status", "ready")).out.decode()
    assert recording_id not in (await tapedeck("list", "--status", "failed")).out.decode()

    whole = await tapedeck("events", recording_id)
    assert json.loads(whole.out) == events_of("login.json")
    target = tmp_path / "events.json"
    target.write_text("what was there before")
    told = await tapedeck("events", recording_id, "-o", target, "--json")
    assert told.json == {"file": str(target), "bytes": len(whole.out)}
    assert target.read_bytes() == whole.out
    lines = await tapedeck("events", recording_id, "--ndjson", "--from-ms", 1000, "--to-ms", 2000)
    start = events_of("login.json")[0]["timestamp"]
    assert lines.lines == [
        event for event in events_of("login.json") if 1000 <= event["timestamp"] - start < 2000
    ]
    aligned = await tapedeck(
        "events", recording_id, "--from-ms", 1000, "--to-ms", 2000, "--align", "snapshot"
    )
    assert [event["type"] for event in aligned.json[:2]] == [4, 2]

    assert (await tapedeck("delete", recording_id)).status == 2
    assert (await tapedeck("delete", recording_id, "--yes", "--json")).json == {"deleted": [recording_id]}
    gone = await tapedeck("show", recording_id)
    assert gone.status == 1
    assert gone.err.count("\n") == 1


async def test_a_file_whose_recording_was_deleted_needs_to_be_sent_as_a_new_one(
    deck: Deck, against: Against
) -> None:
    tapedeck = against(deck)
    sending = ("send", "--json", "--name", "deleted", LOGIN)
    await tapedeck("delete", "--yes", (await tapedeck(*sending)).lines[0]["id"])
    said = await tapedeck(*sending)
    assert said.status == 1
    assert "--again" in said.err
    assert (await tapedeck(*sending, "--again")).status == 0


async def test_sending_again_makes_no_second_recording_unless_told_to(deck: Deck, against: Against) -> None:
    tapedeck = against(deck)
    sent = [
        (await tapedeck("send", "--json", "--no-wait", *options, LOGIN)).lines[0]
        for options in ([], [], ["--again"])
    ]
    assert [one["replayed"] for one in sent] == [False, True, False]
    assert len({one["id"] for one in sent}) == 2


async def test_one_bad_file_among_good_ones_is_told_and_the_others_are_sent(
    deck: Deck, against: Against, tmp_path: Path
) -> None:
    (tmp_path / "bad.json").write_text('[{"type": 4,')
    (tmp_path / "numbers.json").write_text("[1, 2]")
    (tmp_path / "worthless.json").write_text('[{"type": 99}]')
    files = ["bad.json", "numbers.json", "absent.json", "worthless.json", "flood.json.gz"]
    (tmp_path / "flood.json.gz").write_bytes((fixtures.RECORDINGS / "flood.json.gz").read_bytes())
    said = await against(deck)("send", "--json", *files)
    assert said.status == 2
    assert [line["file"] for line in said.lines] == files
    errors = [line["error"]["code"] for line in said.lines if "error" in line]
    assert errors == ["bad_file", "validation_error", "bad_file"]
    failed, ready = said.lines[3:]
    assert (failed["status"], failed["failure"]["code"]) == ("failed", "no_valid_events")
    assert ready["status"] == "ready"
    told = said.err.splitlines()
    assert len(told) == 4
    assert "numbers.json: events[0]: must be an object" in told[1]


async def test_a_failed_recording_is_status_1_and_can_be_put_back_to_work(
    deck: Deck, against: Against
) -> None:
    tapedeck = against(deck)
    said = await tapedeck("send", "-", "--name", "worth\x1b[31mless", stdin=b'[{"type": 99}]')
    assert said.status == 1
    assert "no_valid_events" in said.err
    recording_id = said.out.split()[2].decode()
    assert (await tapedeck("show", recording_id, "--wait")).status == 1
    assert b"\x1b" not in (await tapedeck("list")).out
    assert (await tapedeck("retry", recording_id, "--json")).json["id"] == recording_id


async def test_every_wrapper_arrives_with_its_windows(deck: Deck, against: Against) -> None:
    tapedeck = against(deck)
    names = [
        "tabs-by-window.json",
        "tabs-batches.ndjson",
        "login-result-snapshots.json",
        "login-segments.ndjson",
    ]
    sent = (await tapedeck("send", "--json", *(fixtures.RECORDINGS / name for name in names))).lines
    for name, recording in zip(names, sent, strict=True):
        events = (await tapedeck("events", recording["id"])).json
        windows = {event.get("windowId") for event in events}
        assert windows == ({"tab-1", "tab-2"} if name.startswith("tabs") else {None})
        assert len(events) == recording["event_count"] == fixtures.manifest()[name]["events"]


async def test_logs_are_shown_and_given(deck: Deck, against: Against) -> None:
    await mask_nothing(deck.database_url)
    tapedeck = against(deck)
    session = json.loads(fixtures.read("session.json"))
    session["events"].append({"type": "none"})
    recording = (await tapedeck("send", "-", "--json", stdin=json.dumps(session).encode())).lines[0]
    logs = json.loads((await tapedeck("logs", recording["id"], "--json")).out)
    assert logs["console"] == session["consoleLogs"]
    assert logs["network"] == session["networkLogs"]
    assert [rejected["event"] for rejected in logs["rejected"]] == [{"type": "none"}]
    shown = (await tapedeck("logs", recording["id"])).out.decode()
    assert "the tape is torn" in shown
    assert "https://tapes.example/api/missing" in shown
    assert "bad_type" in shown


async def test_list_goes_through_all_pages(deck: Deck, against: Against) -> None:
    tapedeck = against(deck)
    async with deck.client() as client:
        for number in range(103):
            body = {"name": f"n{number}", "started_at": "2026-05-04T10:00:00Z", "events": [{"type": 4}]}
            (await client.post("/api/v1/recordings", json=body)).raise_for_status()
    newest_first = [f"n{number}" for number in reversed(range(103))]

    async def names(*options: object) -> list[str]:
        return [
            recording["name"] for recording in (await tapedeck("list", "--json", *options)).json["recordings"]
        ]

    assert await names() == newest_first[:25]
    assert await names("--limit", 101) == newest_first[:101]
    assert (await names("--all"))[:103] == newest_first
    assert await names("--project", uuid4()) == []
    assert len((await tapedeck("list", "--limit", 103)).out.splitlines()) == 104


async def test_an_ingest_key_can_send_and_follow(deck: Deck, against: Against) -> None:
    said = await against(deck, deck.keys.ingest_key)("send", "--name", "by an extension", LOGIN)
    assert (said.status, said.err) == (0, "")
    assert b"ready" in said.out
    assert (await against(deck, deck.keys.ingest_key)("list")).status == 1


async def test_sending_survives_a_restart_of_the_deck(
    make_deck: Callable[..., Deck], against: Against
) -> None:
    deck = make_deck()
    await deck.start()
    deck.kill("web")
    sending = asyncio.create_task(against(deck)("send", LOGIN, "--json"))
    await deck.start("web")
    said = await sending
    assert said.status == 0
    assert said.lines[0]["status"] == "ready"


async def test_a_reader_that_stops_reading_is_no_error_to_shout_about(
    deck: Deck, against: Against, tmp_path: Path
) -> None:
    tapedeck = against(deck)
    flood = (await tapedeck("send", "--json", fixtures.RECORDINGS / "flood.json.gz")).lines[0]
    read_end, write_end = os.pipe()
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        "events",
        flood["id"],
        stdout=write_end,
        stderr=asyncio.subprocess.PIPE,
        env=tapedeck.environment,
    )
    os.close(write_end)
    assert os.read(read_end, 10)
    os.close(read_end)
    assert (await process.communicate())[1] == b""


async def test_a_file_that_cannot_be_made_is_told_and_nothing_is_left(
    deck: Deck, against: Against, tmp_path: Path
) -> None:
    tapedeck = against(deck)
    recording = (await tapedeck("send", "--json", LOGIN)).lines[0]
    (tmp_path / "folder").mkdir()
    for target in (tmp_path / "absent" / "x.json", tmp_path / "folder"):
        said = await tapedeck("events", recording["id"], "-o", target)
        assert said.status == 2
        assert str(target) in said.err
    assert sorted(path.name for path in tmp_path.rglob("*.part")) == []
    assert (await tapedeck("events", recording["id"], "-o", "/dev/null")).status == 0


@pytest.mark.parametrize(
    "command",
    ["", "send", "show", "list", "events", "logs", "video", "delete", "retry", "hold", "erase", "sql"],
)
async def test_the_exit_status_is_in_the_help(command: str, tapedeck: Tapedeck) -> None:
    assert "Exit status: 0 done" in (await tapedeck(*command.split(), "--help")).out.decode()


async def test_the_version_is_told(tapedeck: Tapedeck) -> None:
    said = await tapedeck("--version")
    assert said.status == 0
    assert said.out.startswith(b"tapedeck 0.")
