"""GET /api/v1/ops/recordings/{id}: what is held of a recording is what the database and the storage have."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from sqlalchemy import text

from app import ops_recording
from models import deletion
from models.db import Database
from models.job import JobKind
from models.tenancy import Scope
from replay import sidecar
from replay.index import Index
from storage.local import LocalStorage
from storage.protocol import Refused, Unavailable
from tests.api.conftest import Process
from tests.api.operators import HOSTILE, OPS, dead, get
from tests.api.tenants import new_key
from tests.api.test_openapi import check_answer
from tests.api.test_ops import ops as ops
from tests.factories import START_MS, Deckhand, accepted, events, job_of, recording, upload
from tests.models.sessions import opened_in_chunks

SECRET = "what only the recording shows"
PASSWORD = {"source": 5, "text": SECRET, "isChecked": False, "id": 9}
BAD = [
    {"type": 3, "data": {"text": SECRET}},
    {"type": 3, "data": {}, "timestamp": "x"},
    {"timestamp": START_MS},
]


@pytest.fixture
async def kept(database: Database, hand: Deckhand, process_it: Process) -> UUID:
    """A recording of which some events were rejected."""
    pause = {"type": 3, "data": PASSWORD, "timestamp": START_MS + 900_000}
    logs = {"console_logs": [{"level": "log", "args": [SECRET], "timestamp": START_MS}]}
    body = upload([*events(50), pause, *BAD], **logs)
    id_ = await accepted(database, hand, body, name=HOSTILE)
    await process_it(id_)
    return id_


async def held(client: httpx.AsyncClient, id_: UUID) -> dict[str, Any]:
    return await get(client, f"/recordings/{id_}")


async def test_what_is_held_is_what_database_and_storage_have(
    ops: httpx.AsyncClient, anyone: httpx.AsyncClient, kept: UUID, database: Database, folder: Path
) -> None:
    answer = await ops.get(f"{OPS}/recordings/{kept}")
    check_answer((await anyone.get("/openapi.json")).json(), answer)
    seen = answer.json()
    row = await recording(database, kept)
    assert row
    assert row.account
    assert row.summary
    for name in (
        "tenant_id",
        "project_id",
        "name",
        "status",
        "source",
        "has_video",
        "is_open",
        "masked",
        "warnings",
    ):
        value = getattr(row, name)
        assert seen[name] == (str(value) if isinstance(value, UUID) else value), name
    assert seen["account"] == {
        name: row.account[name] for name in ("received", "stored", "duplicate", "rejected")
    }
    assert seen["account"]["rejected"] == len(BAD)
    assert sum(seen["rejected"]["reasons"].values()) == len(BAD)
    assert seen["bytes_by_type"] == row.summary["bytes_by_type"]
    assert sum(seen["bytes_by_type"].values()) == seen["tape"]["json_bytes"] == row.account["bytes"]
    sizes = {one["name"]: one["bytes"] for one in seen["objects"]}
    assert sizes == {
        name: (folder / name).stat().st_size for name in (row.tape_name, row.sidecar_name) if name
    }
    assert {(one["kind"], one["state"]) for one in seen["objects"]} == {
        ("tapes", "live"),
        ("sidecars", "live"),
    }
    async with database.autocommit() as connection:
        index = (await connection.execute(text("SELECT index FROM tape"))).scalar_one()
    tape = seen["tape"]
    assert (tape["name"], tape["parts"]) == (row.tape_name, len(Index.decode(index).parts))
    assert tape["stored_bytes"] == sizes[row.tape_name]
    assert tape["ratio"] == round(tape["json_bytes"] / tape["stored_bytes"], 2)
    assert [one["code"] for one in seen["warnings"]].count("gap") == 1
    assert seen["payload"] == {"parts": 0, "bytes": 0, "kept_until": None}
    assert (seen["failure"], seen["rows"], seen["on_hold"], seen["more"]) == (None, None, False, False)


async def test_nothing_of_what_a_recording_shows_is_told(
    ops: httpx.AsyncClient, kept: UUID, hand: Deckhand, database: Database
) -> None:
    answer = await ops.get(f"{OPS}/recordings/{kept}")
    for secret in (SECRET, "app.example.com", hand.keys.api_key):
        assert secret not in answer.text
    assert b"\x1b" not in answer.content
    reader = await new_key(database, hand, Scope.READ)
    assert (
        await ops.get(f"{OPS}/recordings/{kept}", headers={"Authorization": f"Bearer {reader}"})
    ).status_code == 403


async def test_of_one_that_waits_its_payload(
    ops: httpx.AsyncClient, hand: Deckhand, database: Database
) -> None:
    for id_ in (await accepted(database, hand), await opened_in_chunks(database, hand)):
        seen = await held(ops, id_)
        async with database.autocommit() as connection:
            counted = "SELECT count(*), sum(octet_length(data)) FROM payload WHERE recording_id = :id"
            parts, size = (await connection.execute(text(counted), {"id": id_})).one()
        assert seen["payload"] == {"parts": parts, "bytes": size, "kept_until": None}
        assert parts > 0
        nothing = (
            seen["tape"],
            seen["objects"],
            seen["account"],
            seen["bytes_by_type"],
            seen["rejected"]["state"],
        )
        assert nothing == (None, [], None, {}, "none")
    assert seen["is_open"]


async def test_a_failed_one_says_why_and_until_when_its_payload_is_kept(
    ops: httpx.AsyncClient, hand: Deckhand, database: Database
) -> None:
    (id_,) = await dead(database, hand)
    seen = await held(ops, id_)
    assert (seen["failure"]["code"], seen["failure"]["message"]) == (
        "no_valid_events",
        "None of the events is valid.",
    )
    async with database.autocommit() as connection:
        until = "SELECT to_char(failure_at + interval '30 days', 'YYYY-MM-DD\"T\"HH24:MI') FROM recording"
        assert seen["payload"]["kept_until"][:16] == (await connection.execute(text(until))).scalar_one()
    assert seen["payload"]["bytes"] > 0
    await deletion.hold(database, hand.tenant_id, id_)
    on_hold = await held(ops, id_)
    assert (on_hold["on_hold"], on_hold["payload"]["kept_until"]) == (True, None)


async def test_of_a_deleted_one_what_is_left(
    ops: httpx.AsyncClient, kept: UUID, hand: Deckhand, database: Database
) -> None:
    before = await held(ops, kept)
    await deletion.delete_recording(database, hand.tenant_id, kept)
    seen = await held(ops, kept)
    assert seen["deleted_at"]
    assert {one["state"] for one in seen["objects"]} == {"dead"}
    assert all(one["expires_at"] for one in seen["objects"])
    assert (seen["account"], seen["tape"], seen["rejected"]) == (
        before["account"],
        None,
        {"state": "not_kept", "reasons": {}},
    )


@pytest.mark.parametrize("error", [Unavailable("away"), Refused("403"), None])
async def test_a_storage_that_is_away_is_a_state_and_no_error(
    ops: httpx.AsyncClient, kept: UUID, monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    async def read(*_: object) -> AsyncGenerator[bytes, None]:
        if error:
            raise error
        await asyncio.sleep(60)
        yield b""

    monkeypatch.setattr(LocalStorage, "read", read)
    monkeypatch.setattr(ops_recording, "STORAGE_S", 0.05)
    seen = await held(ops, kept)
    assert seen["rejected"] == {"state": "storage_away", "reasons": {}}
    assert seen["account"]["rejected"] == len(BAD)


async def test_what_a_sidecar_says_is_read_once(
    ops: httpx.AsyncClient, kept: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a page that is open would have all of it read again and again."""
    first = await held(ops, kept)
    monkeypatch.setattr(LocalStorage, "read", None)
    assert (await held(ops, kept))["rejected"] == first["rejected"]
    assert first["rejected"]["state"] == "told"


async def test_what_is_gone_or_too_large_is_a_state_too(
    ops: httpx.AsyncClient, kept: UUID, database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        ops_recording, "SIDECAR_MAX_BYTES", 300
    )  # more than is stored, less than that decodes to
    row = await recording(database, kept)
    assert row
    assert row.sidecar_name
    stored = (folder / row.sidecar_name).stat().st_size
    monkeypatch.setattr(ops_recording, "SIDECAR_MAX_BYTES", stored)
    assert (await held(ops, kept))["rejected"]["state"] == "too_large"
    monkeypatch.setattr(ops_recording, "SIDECAR_MAX_BYTES", stored - 1)
    assert (await held(ops, kept))["rejected"]["state"] == "too_large"
    monkeypatch.undo()
    (folder / row.sidecar_name).unlink()
    assert (await held(ops, kept))["rejected"]["state"] == "not_kept"


async def test_rows_are_told_with_what_they_are_of(
    ops: httpx.AsyncClient, hand: Deckhand, database: Database, process_it: Process, api: httpx.AsyncClient
) -> None:
    id_ = await accepted(database, hand)
    await process_it(id_)
    assert (await api.post(f"/api/v1/recordings/{id_}/relate")).status_code == 202
    assert await job_of(database, id_, JobKind.RELATE)
    assert (await held(ops, id_))["rows"] is None
    async with database.transaction() as session:
        made = "INSERT INTO replay (replay_id, event_count, related_at) VALUES (:id, 3, now())"
        await session.execute(text(made), {"id": id_})
        await session.execute(text("UPDATE recording SET rows_tape_name = tape_name"))
    seen = await held(ops, id_)
    assert (seen["rows"]["events"], seen["rows"]["current"]) == (3, True)
    async with database.transaction() as session:
        await session.execute(text("UPDATE recording SET rows_tape_name = 'another'"))
    assert (await held(ops, id_))["rows"]["current"] is False


def test_reasons_are_counted_whatever_the_events_say() -> None:
    fake = msgspec.Raw(b'{"index":0,"reason":"forged","event":"\\ud83d"}')
    rejected = [sidecar.RejectedEvent(number, reason, fake) for number, reason in enumerate("aba")]
    assert sidecar.reasons(b"".join(sidecar._json([fake], [], None, rejected))) == {"a": 2, "b": 1}
