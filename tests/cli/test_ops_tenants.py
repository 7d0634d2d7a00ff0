"""`tapedeck ops tenants` and `tapedeck ops recording` against a real deck; names that strangers chose steer nothing."""

import json
from pathlib import Path

import pytest
from sqlalchemy import text

from models.db import Database
from models.tenancy import Tenant
from tests.api.operators import HOSTILE
from tests.cli.conftest import Shelf, Tapedeck
from tests.cli.test_ops import failed as failed
from tests.cli.test_ops import ops as ops
from tests.deck import Deck
from tests.factories import START_MS, events

STEERING = {b"\x1b", b"\x07", "\u202e".encode()}
LONG = "x" * 20_000


@pytest.fixture
async def hostile(deck: Deck) -> Tenant:
    """A tenant whose name is hostile and long, as none gets it by the commands."""
    db = Database(deck.database_url)
    async with db.transaction() as session:
        await session.execute(text("DELETE FROM tenant WHERE name LIKE '%' || chr(27) || '%'"))
        session.add(tenant := Tenant(name=HOSTILE + LONG))
    await db.close()
    return tenant


async def test_a_hostile_name_steers_nothing(ops: Tapedeck, hostile: Tenant) -> None:
    listed = await ops("ops", "tenants", "<script>")
    shown = await ops("ops", "tenant", hostile.id)
    for said in (listed, shown):
        assert said.status == 0, said.err
        assert [byte for byte in STEERING if byte in said.out] == []
        assert b"<script>alert(1)</script>" in said.out
        assert LONG.encode() in said.out
    (one,) = (await ops("ops", "tenants", str(hostile.id), "--json")).lines
    assert one["name"] == hostile.name


async def test_tenants_are_listed_and_one_is_shown(ops: Tapedeck, failed: str) -> None:
    listed = (await ops("ops", "tenants", "--all", "--json")).lines
    seen = (await ops("ops", "recording", failed, "--json")).json
    (mine,) = [one for one in listed if one["id"] == seen["tenant_id"]]
    assert (mine["accepted_today"], mine["failed"]["count"], mine["dead"]["count"]) == (1, 1, 1)
    assert (await ops("ops", "tenants", "--sort", "backlog", "--all")).status == 0
    shown = await ops("ops", "tenant", mine["id"])
    assert shown.status == 0, shown.err
    for word in ("1 failed", "6000 requests", "video_deadline", "A project"):
        assert word in shown.out.decode(), word
    assert (await ops("ops", "tenant", failed)).status == 1


async def test_a_failed_recording_says_why_and_what_is_kept(ops: Tapedeck, failed: str) -> None:
    shown = await ops("ops", "recording", failed)
    assert shown.status == 0, shown.err
    assert [byte for byte in STEERING if byte in shown.out] == []
    for word in ("no_valid_events: None of the 1 events is valid", "kept until", "<script>", "claimed"):
        assert word in shown.out.decode(), word
    (job,) = (await ops("ops", "jobs", "--error", "NONE OF THE 1", "--recording", failed, "--json")).lines
    assert job["recording_id"] == failed
    assert (await ops("ops", "jobs", "--error", "100%", "--json")).lines == []
    assert (await ops("ops", "jobs", "--worker", HOSTILE[:100], "--json")).lines == []
    seen = await ops("ops", "retry", "--error", "none of the 1", "--recording", failed, "--dry-run", "--json")
    assert seen.json["matched"] == 1


async def test_a_recording_says_what_was_rejected_and_why_it_is_so_large(
    shelf: Shelf, ops: Tapedeck, tmp_path: Path
) -> None:
    file = tmp_path / "some.json"
    body = {
        "started_at": "2023-11-14T22:13:20Z",
        "name": HOSTILE,
        "events": [*events(), {"timestamp": START_MS}],
    }
    file.write_text(json.dumps(body))
    id_ = (await shelf.tapedeck("send", file, "--json")).lines[0]["id"]
    assert (await shelf.tapedeck("show", "--wait", id_, "--json")).json["status"] == "ready"
    seen = (await ops("ops", "recording", id_, "--json")).json
    (reason,) = seen["rejected"]["reasons"]
    shown = await ops("ops", "recording", id_)
    assert [byte for byte in STEERING if byte in shown.out] == []
    for word in ("4 received, 3 stored, 0 duplicate, 1 rejected", f"1 {reason}", "full_snapshot", "sidecars"):
        assert word in shown.out.decode(), word
