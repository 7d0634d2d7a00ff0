"""`tapedeck send --follow`: files and streams that grow, against a real deck."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import COMMAND, Said, Tapedeck
from tests.cli.scripted import Answer, serving
from tests.cli.test_client import CREATED, problem
from tests.deck import Deck
from tests.deck.recording import outcome
from tests.factories import events

Against = Callable[..., Tapedeck]
MADE = events(40)
PATH = "/api/v1/recordings"


def line(event: Any) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


class Follower:
    """The command, while it follows something."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._first = b""
        self._heard = b""

    async def opened(self) -> str:
        """Wait until it has opened a recording; its id."""
        assert self._process.stdout
        self._first += (latest := await self._process.stdout.readline())
        found: str = json.loads(latest)["id"]
        return found

    async def heard(self, words: bytes) -> None:
        """Wait until it says this on standard error."""
        assert self._process.stderr
        self._heard += await self._process.stderr.readuntil(words)

    def write(self, data: bytes) -> None:
        assert self._process.stdin
        self._process.stdin.write(data)

    def signal(self, number: int = signal.SIGINT) -> None:
        self._process.send_signal(number)

    async def end(self) -> Said:
        """Close its standard input, wait for its end."""
        out, err = await self._process.communicate(b"")
        assert self._process.returncode is not None
        return Said(self._process.returncode, self._first + out, (self._heard + err).decode())

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()


@asynccontextmanager
async def following(tapedeck: Tapedeck, *arguments: object) -> AsyncIterator[Follower]:
    process = await asyncio.create_subprocess_exec(
        COMMAND, "send", "--follow", "--json", *map(str, arguments),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        cwd=tapedeck.folder, env=tapedeck.environment,
    )  # fmt: skip
    follower = Follower(process)
    try:
        yield follower
    finally:
        follower.kill()


async def shows(deck: Deck, recording_id: str, wanted: list[Any]) -> None:
    """Wait until these events of an open recording can be read."""
    async with deck.client() as client:
        while (await client.get(f"{PATH}/{recording_id}/events")).json() != wanted:
            await asyncio.sleep(0.05)


async def has_events(deck: Deck, recording_id: str, wanted: list[Any]) -> None:
    async with deck.client() as client:
        assert (await client.get(f"{PATH}/{recording_id}/events")).json() == wanted


async def test_a_file_is_sent_while_it_is_being_written(deck: Deck, against: Against, tmp_path: Path) -> None:
    growing = tmp_path / "tape.ndjson"
    growing.write_bytes(line(MADE[0]))
    async with following(against(deck), growing) as follower:
        recording_id = await follower.opened()
        with growing.open("ab", buffering=0) as file:
            file.write(line(MADE[1]) + line(MADE[2])[:20])  # a line that is written in two goes
            await shows(deck, recording_id, MADE[:2])
            file.write(line(MADE[2])[20:])
            await shows(deck, recording_id, MADE[:3])
            file.write(b"".join(map(line, MADE[3:])).removesuffix(b"\n"))
        follower.signal()
        said = await follower.end()
    assert said.status == 0, said.err
    opened, done = said.lines
    assert (opened["file"], opened["id"], opened["status"]) == (str(growing), recording_id, "uploading")
    assert (done["id"], done["status"], done["event_count"]) == (recording_id, "ready", len(MADE))
    assert (done["name"], done["events"]["duplicate"]) == ("tape.ndjson", 0)
    assert f"{len(MADE)} events in " in said.err
    await has_events(deck, recording_id, MADE)


async def test_standard_input_is_followed_to_its_end(deck: Deck, against: Against) -> None:
    async with following(against(deck, deck.keys.ingest_key), "-", "--name", "piped") as follower:
        follower.write(line(MADE[0]))
        recording_id = await follower.opened()
        await shows(deck, recording_id, MADE[:1])
        follower.write(b"\r\n" + b"".join(map(line, MADE[1:])))
        said = await follower.end()
    assert said.status == 0, said.err
    await has_events(deck, recording_id, MADE)


async def test_what_is_read_as_a_whole_ends_by_itself(deck: Deck, against: Against, tmp_path: Path) -> None:
    growing = tmp_path / "tape.ndjson"
    growing.write_bytes(b"".join(map(line, MADE)))
    said = await against(deck)("send", "--follow", "--idle", 0.1, growing)
    assert said.status == 0, said.err
    assert b"ready" in said.out
    assert f"{PATH}/" in said.err
    said = await against(deck)("send", "--follow", "-", stdin=growing.read_bytes())
    assert said.status == 0, said.err
    assert b"standard input" in said.out


async def test_a_file_that_is_removed_is_done(deck: Deck, against: Against, tmp_path: Path) -> None:
    growing = tmp_path / "tape.ndjson"
    growing.write_bytes(line(MADE[0]))
    async with following(against(deck), growing) as follower:
        recording_id = await follower.opened()
        with growing.open("ab") as file:
            file.write(line(MADE[1]))
        growing.unlink()
        said = await follower.end()
    assert said.status == 0, said.err
    await has_events(deck, recording_id, MADE[:2])


@pytest.mark.parametrize("how", ["cut short", "another file"])
async def test_a_file_that_is_no_more_what_it_was_is_told(
    deck: Deck, against: Against, tmp_path: Path, how: str
) -> None:
    growing = tmp_path / "tape.ndjson"
    growing.write_bytes(line(MADE[0]) + line(MADE[1]))
    async with following(against(deck), growing) as follower:
        recording_id = await follower.opened()
        if how == "cut short":
            os.truncate(growing, 0)
        else:
            (tmp_path / "new").write_bytes(line(MADE[2]))
            (tmp_path / "new").rename(growing)
        said = await follower.end()
    assert said.status == 2
    assert how in said.err
    assert said.lines[1]["error"]["code"] == "bad_file"
    assert said.lines[2]["status"] == "ready"
    await has_events(deck, recording_id, MADE[:2])


async def test_lines_that_are_no_events_are_told_by_their_number_and_left_out(
    deck: Deck, against: Against, tmp_path: Path
) -> None:
    growing = tmp_path / "tape.ndjson"
    growing.write_bytes(
        line(MADE[0]) + b"[1]\n\n" + b'{"type": tru}\n' + line(MADE[1]) + b"\xff\n" + line(MADE[2])[:-9]
    )
    said = await against(deck)("send", "--follow", "--idle", 0.1, growing, "--json")
    assert said.status == 2
    for told in (
        "line 2: no JSON object",
        "line 4: malformed JSON",
        "line 6: ",
        "line 7: ",
        "4 lines left out",
    ):
        assert told in said.err
    assert said.lines[-1]["status"] == "ready"
    await has_events(deck, said.lines[-1]["id"], MADE[:2])


@pytest.mark.parametrize("start", [b"[", b"[\n", b"\x1f\x8b\x08", b"{tru}\n", b"hello\n", b""])
async def test_a_file_of_something_else_makes_no_recording(shelf: Any, tmp_path: Path, start: bytes) -> None:
    (tmp_path / "tape").write_bytes(start)
    said = await shelf.tapedeck("send", "--follow", "--idle", 0.1, "tape")
    assert said.status == 2
    assert said.err.count("\n") == 1
    assert ("line 1: " if start else "no events") in said.err
    assert await shelf.names() == []


@pytest.mark.parametrize(
    "arguments", [("a", "b", "--follow"), ("a", "--follow", "--video", "b"), ("a", "--idle", 1)]
)
async def test_options_that_do_not_go_together(tapedeck: Tapedeck, arguments: tuple[object, ...]) -> None:
    said = await tapedeck("send", *arguments)
    assert said.status == 2
    assert "--" in said.err


async def test_a_restart_of_the_deck_costs_no_event(
    make_deck: Callable[..., Deck], against: Against, tmp_path: Path
) -> None:
    deck = make_deck()
    await deck.start()
    growing = tmp_path / "tape.ndjson"
    growing.write_bytes(line(MADE[0]))
    async with following(against(deck), growing) as follower:
        recording_id = await follower.opened()
        await shows(deck, recording_id, MADE[:1])
        deck.kill("web")
        with growing.open("ab", buffering=0) as file:
            for event in MADE[1:]:
                file.write(line(event))
        follower.signal(signal.SIGTERM)
        await deck.start("web")
        said = await follower.end()
    assert said.status == 0, said.err
    assert said.lines[-1]["events"]["received"] == len(MADE)
    await has_events(deck, recording_id, MADE)


async def test_the_second_ctrl_c_leaves_at_once(tmp_path: Path) -> None:
    growing = tmp_path / "tape.ndjson"
    growing.write_bytes(line(MADE[0]))
    busy = problem(503, "overloaded", "Too much at once.", Retry_After="600")
    with serving(CREATED, Answer(202), busy) as (url, _):
        tapedeck = Tapedeck(tmp_path, TAPEDECK_URL=url, TAPEDECK_API_KEY="tdk_x")
        async with following(tapedeck, growing) as follower:
            recording_id = await follower.opened()
            with growing.open("ab") as file:
                file.write(line(MADE[1]))
            await follower.heard(b"trying again in 600.0 s\n")
            follower.signal()
            await follower.heard(b"Ctrl-C again leaves at once\n")
            follower.signal()
            said = await follower.end()
    assert said.status == 130
    assert f"{recording_id} has 1 event in 1 chunk, and is closed when" in said.err


async def test_what_the_deck_closes_goes_on_in_another_recording(
    deck: Deck, against: Against, tmp_path: Path
) -> None:
    growing = tmp_path / "tape.ndjson"
    growing.write_bytes(line(MADE[0]))
    async with following(against(deck), growing) as follower, deck.client() as client:
        first = await follower.opened()
        await shows(deck, first, MADE[:1])
        assert (await client.post(f"{PATH}/{first}/finish")).status_code == 202
        with growing.open("ab") as file:
            file.write(b"".join(map(line, MADE[1:])))
        second = await follower.opened()
        follower.signal()
        said = await follower.end()
        assert said.status == 0, said.err
        assert [one["id"] for one in said.lines] == [first, second, first, second]
        assert (await outcome(client, first))["event_count"] == 1
    await has_events(deck, second, MADE[1:])


async def test_a_recording_that_was_deleted_meanwhile_is_told(
    deck: Deck, against: Against, tmp_path: Path
) -> None:
    growing = tmp_path / "tape.ndjson"
    growing.write_bytes(line(MADE[0]))
    async with following(against(deck), growing) as follower, deck.client() as client:
        recording_id = await follower.opened()
        await shows(deck, recording_id, MADE[:1])
        assert (await client.delete(f"{PATH}/{recording_id}")).status_code == 204
        with growing.open("ab") as file:
            file.write(line(MADE[1]))
        said = await follower.end()
    assert said.status == 1
    assert said.lines[-1]["error"]["code"] == "not_found"
