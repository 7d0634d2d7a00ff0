"""The promise for recordings with a video: whoever dies between upload and verification, each ends right, once."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from models.breakers import BreakerState
from models.job import JobKind
from tests.deck import Deck
from tests.factories import upload
from tests.gcs_emulator import Emulator
from tests.promise.dust import IN_A_HURRY, breaker, nothing_left_over, running, settled

pytestmark = pytest.mark.timeout(300)  # real processes, killed and started, on whatever machine there is

MakeDeck = Callable[..., Deck]
VIDEO = (Path(__file__).parents[1] / "fixtures" / "videos" / "vp9-opus.webm").read_bytes()
LONG = VIDEO + b"\xec\x11\xff\xff\xf0" + bytes(0x01FFFFF0)
"""A video with a Void element of 32 MiB behind it: copying it takes long enough to be caught in the middle."""


def objects_of(deck: Deck) -> Path:
    return Path(deck.storage_url.removeprefix("file://"))


async def announce(client: httpx.AsyncClient) -> dict[str, Any]:
    """Send a recording that will have a video. Returns the 201's body."""
    answer = await client.post("/api/v1/recordings", content=upload(has_video=True))
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def put(url: str, body: bytes = VIDEO) -> None:
    """Upload the video, straight to storage."""
    async with httpx.AsyncClient(timeout=60) as storage:
        answer = await storage.put(url, content=body)
    assert answer.status_code == 200, answer.text


async def send(client: httpx.AsyncClient, body: bytes = VIDEO) -> str:
    """Send a recording with its video, as an extension does. Returns its id."""
    created = await announce(client)
    await put(created["video_upload_url"], body)
    answer = await client.post(f"/api/v1/recordings/{created['id']}/confirm-video")
    assert answer.status_code == 200, answer.text
    return str(created["id"])


async def test_a_worker_killed_while_it_verifies_loses_nothing(make_deck: MakeDeck) -> None:
    deck = make_deck(**IN_A_HURRY)
    await deck.start()
    async with deck.client() as client:
        ids = [await send(client, LONG)] + [await send(client) for _ in range(3)]
        await running(deck.database_url, JobKind.VERIFY_VIDEO)
        deck.kill("worker")
        await deck.start("worker")
        found = await settled(client, ids)
        assert [one["status"] for one in found] == ["ready"] * 4
        assert {one["video"]["container"] for one in found} == {"webm"}
    await nothing_left_over(deck.database_url, objects_of(deck))


async def test_a_worker_that_dies_takes_its_inspection_along(make_deck: MakeDeck) -> None:
    deck = make_deck(**IN_A_HURRY)
    await deck.start()
    async with deck.client() as client:
        ids = [await send(client) for _ in range(8)]
        children: list[psutil.Process] = []
        while not children:
            children = [process for process in inspections(deck) if process.is_running()]
            await asyncio.sleep(0.005)
        children[0].parents()[0].kill()  # the worker alone, not its whole process group
        _, alive = await asyncio.to_thread(psutil.wait_procs, children, timeout=30)
        assert not alive
        deck.kill("worker")
        await deck.start("worker")
        assert {one["status"] for one in await settled(client, ids)} == {"ready"}
    await nothing_left_over(deck.database_url, objects_of(deck))


def inspections(deck: Deck) -> list[psutil.Process]:
    found = []
    for pid in deck.pids("worker"):
        try:
            if "workers.video.demux" in psutil.Process(pid).cmdline():
                found.append(psutil.Process(pid))
        except psutil.Error:
            continue
    return found


async def test_everything_may_die_between_the_upload_and_its_confirm(make_deck: MakeDeck) -> None:
    deck = make_deck(**IN_A_HURRY, TAPEDECK_VIDEO_WAIT_S="6")
    await deck.start()
    async with deck.client() as client:
        uploaded, forgotten = await announce(client), await announce(client)
        await put(uploaded["video_upload_url"])
        for name in ("worker", "dispatcher", "web"):
            deck.kill(name)
        await deck.start()
        found = await settled(client, [uploaded["id"], forgotten["id"]])
        assert [one["status"] for one in found] == ["ready", "failed"]
        assert found[1]["failure"]["code"] == "video_missing"
        while (await client.get(f"/api/v1/recordings/{forgotten['id']}")).json()["playable"] is None:
            await asyncio.sleep(0.05)  # its events come all the same, if need be after the deadline


async def test_storage_may_be_away_while_videos_are_verified(make_deck: MakeDeck, bucket: Emulator) -> None:
    deck = make_deck(bucket.storage_url, **IN_A_HURRY, STORAGE_EMULATOR_HOST=bucket.host)
    await deck.start("web", "dispatcher")
    async with deck.client() as client:
        ids = [await send(client) for _ in range(3)]
        bucket.freeze()
        await deck.start("worker")
        await breaker(deck.database_url, BreakerState.OPEN)
        bucket.thaw()
        assert {one["status"] for one in await settled(client, ids)} == {"ready"}


async def test_a_recording_deleted_while_its_video_is_verified_leaves_nothing(make_deck: MakeDeck) -> None:
    deck = make_deck(**IN_A_HURRY)
    await deck.start()
    async with deck.client() as client:
        id_ = await send(client, LONG)
        await running(deck.database_url, JobKind.VERIFY_VIDEO)
        assert (await client.delete(f"/api/v1/recordings/{id_}")).status_code == 204
    await nothing_left_over(deck.database_url, objects_of(deck))
    assert not [path for path in objects_of(deck).rglob("*") if path.is_file()]
