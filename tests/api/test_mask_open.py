"""Masking what is still coming: what an open recording shows, what a dry run tells of it, and the tape that is made of it."""

import asyncio
import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from models import live, payload
from models.db import Database
from models.job import JobKind
from tests.api.conftest import MaskIt, Process
from tests.api.live import batch, event, only, send
from tests.factories import Deckhand, job_of

PATH = "/api/v1/recordings"
SSN = {"rules": {"keys": ["ssn"]}}


def telling(number: int, ssn: str) -> dict[str, Any]:
    return batch() | {"events": [event(number, "console", ssn=ssn)]}


async def shown(api: httpx.AsyncClient, path: str) -> str:
    answer = await api.get(f"{path}/events")
    assert answer.status_code == 200, answer.text
    return answer.text


@pytest.fixture
async def path(ingest: httpx.AsyncClient, api: httpx.AsyncClient) -> str:
    """An open session that holds a secret only its people know of."""
    await send(ingest, telling(0, "123-45-6789"))
    return f"{PATH}/{(await only(api))['id']}"


async def test_what_an_open_session_shows_is_masked_as_soon_as_it_is_asked_for(
    ingest: httpx.AsyncClient,
    api: httpx.AsyncClient,
    path: str,
    process_it: Process,
    mask_it: MaskIt,
    database: Database,
) -> None:
    assert "6789" in await shown(api, path)
    asked = await api.post(f"{path}/mask", json=SSN)
    assert (asked.status_code, asked.json()["masking"]) == (202, "pending")
    assert asked.json()["status"] == "uploading"
    await send(ingest, telling(1, "987-65-4321"))
    now = await shown(api, path)
    assert "6789" not in now
    assert "4321" not in now
    assert await job_of(database, _id(path), JobKind.MASK) is None

    await api.post(f"{path}/finish")
    await process_it(path.rpartition("/")[2])
    assert await shown(api, path) == now, "not even for a moment it is as it came"
    assert (await api.get(f"{path}/mask")).json()["masking"] == "pending"
    await mask_it(path)
    assert (await api.get(f"{path}/mask")).json()["masking"] == "done"
    assert await shown(api, path) == now
    assert (await api.get(path)).json()["masked"] == {"key": 2}


async def test_a_dry_run_tells_of_what_has_come_so_far(
    ingest: httpx.AsyncClient, api: httpx.AsyncClient, path: str, process_it: Process
) -> None:
    order = {**SSN, "dry_run": True}
    tried = (await api.post(f"{path}/mask", json=order)).json()
    assert tried["masked"] == {"key": 1}
    assert tried["places"] == [{"where": "events[0].data.payload.ssn", "rule": "key"}]
    await send(ingest, telling(1, "987-65-4321"))
    assert (await api.post(f"{path}/mask", json=order)).json()["masked"] == {"key": 2}
    assert "6789" in await shown(api, path)
    assert (await api.post(f"{path}/mask", json={"dry_run": True})).json()["masked"] == {}
    await api.post(f"{path}/finish")
    between = await api.post(f"{path}/mask", json=order)
    assert (between.status_code, between.json()["code"]) == (409, "not_ready")
    await process_it(path.rpartition("/")[2])
    assert (await api.post(f"{path}/mask", json=order)).json()["masked"] == {"key": 2}


async def test_a_reader_never_sees_an_open_session_without_what_it_had(
    ingest: httpx.AsyncClient, api: httpx.AsyncClient, path: str, process_it: Process
) -> None:
    """While it is read it is finished, and `process` takes the batches away."""
    await send(ingest, batch(*range(1, 50)))

    async def reading() -> set[int]:
        seen = set()
        while (await api.get(path)).json()["status"] != "ready":
            answer = await api.get(f"{path}/events")
            if answer.status_code == 409:
                assert answer.json()["code"] == "not_ready"
            else:
                seen.add(len(answer.json()))
        return seen

    async def ending() -> None:
        await api.post(f"{path}/finish")
        await process_it(path.rpartition("/")[2])

    *seen, _ = await asyncio.gather(reading(), reading(), reading(), ending())
    assert set().union(*seen) <= {50}


async def test_who_reads_while_it_is_processed_looks_again(
    api: httpx.AsyncClient,
    path: str,
    process_it: Process,
    hand: Deckhand,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load, here = payload.load, asyncio.get_running_loop()

    async def end() -> None:
        await live.finish(database, hand.tenant_id, _id(path))
        await process_it(_id(path))

    async def late(db: Database, recording_id: UUID) -> dict[int, list[bytes]]:
        monkeypatch.setattr(payload, "load", load)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(end(), here))
        return await load(db, recording_id)

    before = json.loads(await shown(api, path))
    monkeypatch.setattr(payload, "load", late)
    assert json.loads(await shown(api, path)) == before


def _id(path: str) -> UUID:
    return UUID(path.rpartition("/")[2])
