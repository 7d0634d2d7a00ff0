"""The promise for recordings that are masked after the fact: readable all the time, masked in the end, nothing left over."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from models.job import JobKind
from tests.deck import Deck
from tests.factories import events, upload
from tests.promise.dust import IN_A_HURRY, SETTLED_S, nothing_left_over, running, send, settled

pytestmark = pytest.mark.timeout(300)  # real processes, killed and started, on whatever machine there is

MakeDeck = Callable[..., Deck]
SSN = b"123-45-6789"
TOLD = {"type": 5, "data": {"tag": "form", "payload": {"ssn": SSN.decode()}}, "timestamp": 1_700_000_001_500}
LARGE = upload([*events(120_000), TOLD])


def objects_of(deck: Deck) -> Path:
    return Path(deck.storage_url.removeprefix("file://"))


async def mask(client: httpx.AsyncClient, recording_id: str) -> None:
    answer = await client.post(f"/api/v1/recordings/{recording_id}/mask", json={"rules": {"keys": ["ssn"]}})
    assert answer.status_code == 202, answer.text


async def reading(client: httpx.AsyncClient, recording_id: str) -> None:
    """Read the last events again and again until they are masked: they are there, as before or masked."""
    async with asyncio.timeout(SETTLED_S):
        while True:
            answer = await client.get(f"/api/v1/recordings/{recording_id}/events?to_ms=2000")
            assert answer.status_code == 200
            if SSN not in answer.content:
                assert b'"ssn": "' + b"*" * len(SSN) in answer.content
                return
            await asyncio.sleep(0.05)


async def test_a_worker_killed_while_it_masks_leaves_a_recording_that_can_be_read_and_is_masked(
    make_deck: MakeDeck,
) -> None:
    deck = make_deck(**IN_A_HURRY)
    await deck.start()
    async with deck.client() as client:
        id_ = await send(client, LARGE)
        (before,) = await settled(client, [id_])
        reader = asyncio.create_task(reading(client, id_))
        await mask(client, id_)
        await running(deck.database_url, JobKind.MASK)
        deck.kill("worker")
        assert (await client.get(f"/api/v1/recordings/{id_}/mask")).json()["masking"] == "pending"
        await mask(client, id_)  # again, while nobody is there
        await deck.start("worker")
        await reader
        async with asyncio.timeout(SETTLED_S):
            while (await client.get(f"/api/v1/recordings/{id_}/mask")).json()["masking"] == "pending":
                await asyncio.sleep(0.05)
        (after,) = await settled(client, [id_])
    assert (after["status"], after["masked"]) == ("ready", {"key": 1})
    same = {"event_count", "duration_ms", "navigations", "summary", "warnings", "playable"}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    await nothing_left_over(deck.database_url, objects_of(deck))
    tapes = [path for path in objects_of(deck).glob("tapes/*/*/*") if path.is_file()]
    assert len(tapes) == 1
