"""`tapedeck import` against a real deck: what arrives there, and under which names."""

import asyncio
import json
import os
import pty
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from tests import fixtures
from tests.cli.conftest import COMMAND, Shelf, Tapedeck
from tests.cli.imports import COMPRESS, recording, tarred, zipped
from tests.cli.scripted import Answer, serving
from tests.cli.test_client import problem
from tests.deck import Deck

MADE = Answer(201, body=b'{"id": "01990000-0000-7000-8000-000000000000", "status": "uploading"}')


async def test_folders_archives_and_files_become_recordings_once(shelf: Shelf, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.zip").write_bytes(zipped({"1.json": recording(1), "2.json": recording(2)}))
    (folder / "b.tar.zst").write_bytes(
        COMPRESS["zst"](tarred({"x/3.json": recording(3), "x/again.json": recording(1)}))
    )
    (folder / "4.json.xz").write_bytes(COMPRESS["xz"](recording(4)))
    (folder / "notes.txt").write_text("not a recording")
    (folder / "broken.json").write_bytes(recording(5)[:-5])
    said = await shelf.tapedeck("import", "--json", "--wait", folder)
    assert said.status == 2
    assert said.lines[-1]["summary"] == {
        "sent": 4, "already_there": 1, "found": 0, "skipped": 1, "failed": 1, "events": 12, "statuses": {"ready": 4},
    }  # fmt: skip
    assert await shelf.names() == ["1.json", "2.json", "3.json", "4.json.xz"]
    again = await shelf.tapedeck("import", folder)
    assert "0 sent (0 events), 5 already there, 1 skipped (1 not JSON), 1 failed" in again.out.decode()
    assert f"{folder}/broken.json: JSON was truncated" in again.err
    assert len(await shelf.names()) == 4


async def test_what_a_deck_gave_can_be_imported_into_another_project(shelf: Shelf, tmp_path: Path) -> None:
    first = (await shelf.tapedeck("send", "--json", fixtures.RECORDINGS / "tabs.json")).lines[0]
    kept = tmp_path / "kept"
    kept.mkdir()
    whole = await shelf.tapedeck("events", first["id"], "-o", kept / "a.json")
    assert whole.status == 0
    await shelf.tapedeck("events", first["id"], "--ndjson", "-o", kept / "b.ndjson")
    (kept / "logs.json").write_bytes((await shelf.tapedeck("logs", first["id"], "--json")).out)
    (kept / "shown.json").write_bytes((await shelf.tapedeck("show", first["id"], "--json")).out)
    said = await shelf.tapedeck("import", "--json", "--wait", kept)
    assert said.status == 0
    summary = said.lines[-1]["summary"]
    assert (summary["sent"] + summary["already_there"], summary["skipped"]) == (2, 2)
    for line in said.lines:
        if line.get("status") == "ready":
            assert (await shelf.tapedeck("events", line["id"])).out == (kept / "a.json").read_bytes()


async def test_several_sessions_in_a_file_become_several_recordings(shelf: Shelf, tmp_path: Path) -> None:
    def batch(session: str, number: int) -> bytes:
        events = json.loads(recording(number))
        properties = {"$session_id": session, "$window_id": "w", "$snapshot_data": events}
        return json.dumps({"event": "$snapshot", "properties": properties}).encode()

    lines = [batch("one", 1), batch("two", 2), batch("one", 3)]
    (tmp_path / "batches.ndjson").write_bytes(b"\n".join(lines))
    bodies = [
        {"name": "Mine", "started_at": "2020-01-01T00:00:00Z", "events": json.loads(recording(number))}
        for number in (4, 5)
    ]
    (tmp_path / "bodies.json").write_text(json.dumps(bodies))
    said = await shelf.tapedeck("import", "--json", "batches.ndjson", "bodies.json")
    assert said.status == 0
    assert sorted(line["events"] for line in said.lines[:-1]) == [3, 3, 3, 6]
    assert await shelf.names() == ["Mine", "Mine", "batches.ndjson one", "batches.ndjson two"]
    assert (await shelf.tapedeck("send", "batches.ndjson")).status == 2


async def test_a_body_that_announced_a_video_is_not_left_waiting_for_it(shelf: Shelf, tmp_path: Path) -> None:
    body = {
        "started_at": "2020-01-01T00:00:00Z",
        "has_video": True,
        "name": None,
        "events": json.loads(recording()),
    }
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "body.json").write_text(json.dumps(body))
    (folder / "only-video.json").write_text(json.dumps(body | {"events": []}))
    said = await shelf.tapedeck("import", "--wait", "--json", folder)
    assert said.lines[-1]["summary"]["statuses"] == {"ready": 1}
    assert said.lines[-1]["summary"]["skipped"] == 1
    assert await shelf.names() == ["body.json"]


async def test_a_limit_takes_so_many_new_ones_each_time(shelf: Shelf, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for number in range(6):
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / "x.json").write_bytes(recording(number))
    said = await shelf.tapedeck("import", "--limit", 2, "--name-from", "path", "--jobs", 3, folder)
    assert (said.status, said.err) == (0, "")
    assert len(await shelf.names()) == 2
    assert (await shelf.tapedeck("import", "--limit", 3, "--name-from", "path", folder)).status == 0
    names = await shelf.names()
    assert len(names) == 5
    assert set(names) < {f"{number}/x.json" for number in range(6)}
    assert (await shelf.tapedeck("import", "--dry-run", "--json", folder)).lines[-1]["summary"]["found"] == 1


async def test_what_the_deck_refuses_takes_no_place_of_a_limit(shelf: Shelf, tmp_path: Path) -> None:
    refused = [*json.loads(recording()), 7]
    (tmp_path / "x.zip").write_bytes(
        zipped({"a.json": json.dumps(refused).encode(), "b.json": recording(1), "c.json": recording(2)})
    )
    said = await shelf.tapedeck("import", "--limit", 1, "--jobs", 2, "x.zip")
    assert said.status == 1
    assert await shelf.names() == ["b.json"]


async def test_it_goes_where_it_is_told_and_again_when_it_is_told(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(recording())
    for count in (1, 2):
        assert (await shelf.tapedeck("import", "--again", "x.json")).status == 0
        assert await shelf.names() == ["x.json"] * count
    wrong = await shelf.tapedeck("import", "--project", uuid4(), "x.json")
    assert wrong.status == 1
    assert wrong.err.count("no such project") == 1


async def test_a_recording_that_fails_is_told_when_waited_for(shelf: Shelf, tmp_path: Path) -> None:
    events = [*json.loads(recording(1)), "not packed"]
    (tmp_path / "odd.json").write_text(json.dumps(events))
    (tmp_path / "wrong.json").write_text(json.dumps([*events, 7]))
    said = await shelf.tapedeck("import", "--wait", "odd.json", "wrong.json")
    assert said.status == 1
    assert "events[4]" in said.err
    assert "1 sent (3 events), 1 failed, 1 ready" not in said.out.decode()
    assert "1 sent (4 events), 1 failed, 1 ready" in said.out.decode()


@pytest.mark.parametrize(("status", "code"), [(401, "unauthorized"), (403, "forbidden")])
async def test_what_every_upload_would_meet_stops_at_the_first(
    status: int, code: str, tapedeck: Tapedeck, tmp_path: Path
) -> None:
    (tmp_path / "x.zip").write_bytes(zipped({f"{number}.json": recording(number) for number in range(9)}))
    with serving(*[problem(status, code, "No.")] * 9) as (url, asked):
        said = await tapedeck("import", "--jobs", 1, "--url", url, "--api-key", "tdk_x", "x.zip")
    assert said.status == 1
    assert len(asked) == 1
    assert "stopped: No." in said.err
    assert "run it again" in said.err


async def test_a_busy_deck_is_given_the_time_it_asks_for(tapedeck: Tapedeck, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(recording())
    busy = problem(429, "rate_limited", "Slowly.", Retry_After="0")
    with serving(busy, problem(503, "overloaded", "Full.", Retry_After="0"), MADE) as (url, asked):
        said = await tapedeck("import", "--url", url, "--api-key", "tdk_x", "x.json")
    assert said.status == 0
    assert len({request.headers["idempotency-key"] for request in asked}) == 1
    assert "Slowly" in said.err
    away = await tapedeck("import", "--url", url, "--api-key", "tdk_x", "--retry-for", 0, "--again", "x.json")
    assert away.status == 3
    assert "cannot reach" in away.err


async def test_a_recording_beyond_the_deck_s_limit_is_told_and_the_others_are_sent(
    make_deck: Callable[..., Deck], against: Callable[..., Tapedeck], tmp_path: Path
) -> None:
    deck = make_deck(TAPEDECK_MAX_EVENTS_BYTES="4000000", TAPEDECK_MAX_BODY_BYTES="1000000")
    await deck.start("web")
    noise = json.dumps([{"type": 5, "data": os.urandom(2_000_000).hex(), "timestamp": 1}])
    large = json.dumps([{"type": 5, "data": "x" * 5_000_000, "timestamp": 1}])
    (tmp_path / "x.tar").write_bytes(
        tarred({"noise.json": noise.encode(), "large.json": large.encode(), "good.json": recording()})
    )
    said = await against(deck)("import", "--json", "--retry-for", 5, "x.tar")
    assert said.status == 1
    codes = {line["path"]: line["error"]["code"] for line in said.lines if "error" in line}
    assert codes == {"x.tar/noise.json": "payload_too_large", "x.tar/large.json": "payload_too_large"}
    assert said.lines[-1]["summary"]["sent"] == 1


async def test_a_terminal_shows_a_bar_and_no_line_for_each(shelf: Shelf, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "x.zip").write_bytes(zipped({f"{number}.json": recording(number) for number in range(9)}))
    (folder / "bad.json").write_bytes(b"[")
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        "import",
        folder,
        stdout=theirs,
        stderr=theirs,
        env=shelf.tapedeck.environment | {"TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(theirs)
    shown = await asyncio.to_thread(_read_all, ours)
    assert await process.wait() == 2
    assert "2/2 files" in shown
    assert "9 recordings, 1 failed" in shown
    assert "9 sent (27 events), 1 failed" in shown
    assert "bad.json" in shown
    assert "x.zip/3.json" not in shown


def _read_all(terminal: int) -> str:
    shown = b""
    try:
        while chunk := os.read(terminal, 65536):
            shown += chunk
    except OSError:  # what Linux says when the last one has closed it
        pass
    finally:
        os.close(terminal)
    return shown.decode()
