"""`tapedeck ops …` against a real deck; what strangers wrote never steers the terminal."""

import json
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from rich.console import Console

from app.commands import ops_top
from app.examples_ops import FAILURES, OVERVIEW, RATES, WORKERS
from tests.api.operators import HOSTILE
from tests.cli.conftest import Shelf, Tapedeck
from tests.deck import Deck

TROUBLE = {
    "severity": "critical",
    "code": "redis_away",
    "what": "Redis is away.",
    "do": "Start it.",
    "link": "/ops",
}


@pytest.fixture
def ops(deck: Deck, against: Callable[..., Tapedeck]) -> Tapedeck:
    """The command with an operator's key."""
    return against(deck, deck.keys.operator_key)


@pytest.fixture
async def failed(shelf: Shelf, tmp_path: Path) -> str:
    """A recording of which nothing is valid, with a hostile name."""
    file = tmp_path / "bad.json"
    file.write_text(
        json.dumps({"started_at": "2026-05-04T10:00:00Z", "name": HOSTILE, "events": [{"type": HOSTILE}]})
    )
    said = await shelf.tapedeck("send", file, "--json")
    id_: str = said.lines[0]["id"]
    assert (await shelf.tapedeck("show", "--wait", id_, "--json")).json["status"] == "failed"
    return id_


async def test_an_operator_finds_what_failed_and_tries_it_again(ops: Tapedeck, failed: str) -> None:
    (job,) = (await ops("ops", "jobs", "--recording", failed, "--json")).lines
    assert (job["kind"], job["state"], job["error_code"]) == ("process", "dead", "no_valid_events")
    shown = await ops("ops", "job", job["id"])
    assert shown.status == 0, shown.err
    assert b"It died of no_valid_events at" in shown.out
    groups = (await ops("ops", "failures", "--json")).lines
    assert any(group["error_code"] == "no_valid_events" for group in groups)
    life = await ops("ops", "life", failed)
    assert [word for word in ("accepted", "claimed", "failed") if word not in life.out.decode()] == []
    assert b"\x1b" not in shown.out + life.out
    seen = await ops("ops", "retry", job["id"], "--dry-run")
    assert seen.out.startswith(b"1 job, the oldest from ")
    unasked = await ops("ops", "retry", job["id"])
    assert (unasked.status, unasked.out) == (2, b"")
    done = await ops("ops", "retry", job["id"], "--yes", "--json")
    assert done.status == 0, done.err
    assert (done.json["state"], done.json["done"]) == ("done", 1)
    log = (await ops("ops", "audit", "--json")).lines
    assert [entry["what"] for entry in log[:2]] == ["retry done", "retry begun"]
    listed = await ops("ops", "actions")
    assert done.json["id"] in listed.out.decode()


async def test_queues_are_paused_and_seen(ops: Tapedeck) -> None:
    paused = await ops("ops", "pause", "mask")
    assert paused.out == b"paused  1\n"
    assert b"paused by operator@" in (await ops("ops", "overview")).out
    assert (await ops("ops", "resume", "mask", "--json")).json == {"changed": True, "count": 1}
    assert (await ops("ops", "limit", "mask", "--running", "4", "--per-tenant", "0")).out == b"limited  1\n"
    assert (await ops("ops", "limit", "mask", "--running", "deck")).out == b"limited  1\n"
    assert (await ops("ops", "limit", "mask", "--running", "4x")).status == 2
    assert (await ops("ops", "limit", "mask")).status == 2
    (worker, *_) = (await ops("ops", "workers", "--json")).lines
    assert (await ops("ops", "drain", worker["id"])).out == b"drains  1\n"
    assert (await ops("ops", "undrain", worker["id"])).out == b"works  1\n"
    roles = {one["role"] for one in (await ops("ops", "processes", "--json")).lines}
    assert roles == {"web", "worker", "dispatcher"}
    assert (await ops("ops", "refill")).status == 0
    frame = await ops("ops", "top", "--once")
    assert frame.status == 0, frame.err
    assert b"video_deadline" in frame.out
    assert b"\x1b" not in frame.out
    assert (await ops("ops", "workers", "--json")).status == 0
    told = await ops("ops", "status", "--json")
    assert told.status == (0 if told.json["well"] else 1)
    assert told.json["summary"] in (await ops("ops", "status")).out.decode() or not told.json["well"]
    assert (await ops("ops", "conservation", "--json")).status == 0
    assert (await ops("ops", "conservation", "--days", "2")).status == 0


async def test_it_takes_operate_and_says_which_jobs(shelf: Shelf, ops: Tapedeck) -> None:
    refused = await shelf.tapedeck("ops", "overview")
    assert (refused.status, refused.err.count("\n")) == (1, 1)
    assert "needs the scope operate" in refused.err
    assert (await ops("ops", "retry", "--yes")).status == 2
    assert (await ops("ops", "job", uuid4())).status == 1


def test_a_frame_shows_rates_and_lets_nothing_steer_the_terminal() -> None:
    queue = OVERVIEW["queues"][0]
    now = {
        "overview": OVERVIEW
        | {
            "queues": [queue | {"due": 17, "paused_at": OVERVIEW["at"], "paused_by": HOSTILE}],
            "verdict": {"well": False, "summary": "", "troubles": [TROUBLE, TROUBLE | {"what": HOSTILE}]},
        },
        "rates": RATES["queues"],
        "failures": [FAILURES["failures"][0] | {"sample": HOSTILE, "place": HOSTILE}],
        "workers": [WORKERS["workers"][0] | {"name": HOSTILE}],
    }
    console = Console(width=400, highlight=False)
    with console.capture() as captured:
        console.print(ops_top.frame(now))
    shown = captured.get()
    assert f"{RATES['queues'][0]['last_5_min']['ended_per_min']:.1f}" in shown
    assert shown.startswith("critical: Redis is away. Start it.")
    assert "[bold]" in shown
    assert not set(shown) & {"\x1b", "\x07", "\u202e"}
