"""The life of a browser extension with a video to send, on real decks: whatever goes wrong, each recording ends right.

tests/browser has the extension itself; here is what happens to it, one thing at a time.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from app.recordings import PATH
from tests.api.videos import WEBM
from tests.deck import Deck
from tests.deck.recording import outcome
from tests.factories import upload
from tests.gcs_emulator import Emulator
from tests.line import Line, line
from tests.promise.dust import IN_A_HURRY, nothing_left_over

pytestmark = pytest.mark.timeout(300)  # a deck starts before each, on whatever machine there is

BODY = upload(has_video=True)
KEY = {"Idempotency-Key": "tab-7-recording-42"}
CALM = {"TAPEDECK_LEASE_S": "30", "TAPEDECK_UPLOAD_URL_TTL_S": "6", "TAPEDECK_UPLOAD_DEADLINE_S": "4"}
"""Nothing dies here, so that workers may keep their leases on a machine that is busy."""

ON_THE_LINE = pytest.mark.parametrize("make_stage", ["local"], indirect=True)
"""The emulator is not, and checks no signature."""

MakeDeck = Callable[..., Deck]


class Browser:
    """What an extension does, step by step. Its connections lead over `line`, and so do the URLs it is given."""

    def __init__(self, deck: Deck, base_url: str) -> None:
        headers = {"Authorization": f"Bearer {deck.keys.ingest_key}"}
        self._api = httpx.AsyncClient(base_url=base_url, headers=headers, timeout=60, trust_env=False)
        # What an upload suffers, its connection suffers: the next one has a connection of its own.
        self._storage = httpx.AsyncClient(headers={"Connection": "close"}, timeout=60, trust_env=False)

    async def close(self) -> None:
        await self._api.aclose()
        await self._storage.aclose()

    async def create(self) -> dict[str, Any]:
        answer = await self._api.post(PATH, content=BODY, headers=KEY)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created | {"replayed": "Idempotency-Replayed" in answer.headers}

    async def put(self, url: str, content: Any = WEBM) -> int:
        return (await self._storage.put(url, content=content)).status_code

    async def confirm(self, id_: str) -> httpx.Response:
        return await self._api.post(f"{PATH}/{id_}/confirm-video")

    async def fresh_url(self, id_: str) -> str:
        answer = await self._api.post(f"{PATH}/{id_}/video-upload-url")
        assert answer.status_code == 200, answer.text
        return str(answer.json()["video_upload_url"])


class Stage:
    """A deck and a browser, with the line between them."""

    def __init__(self, deck: Deck, line: Line, browser: Browser) -> None:
        self.deck, self.line, self.browser = deck, line, browser

    async def ends(self, id_: str) -> dict[str, Any]:
        async with self.deck.client() as client:
            return await outcome(client, id_)

    async def delete(self, id_: str) -> None:
        async with self.deck.client() as client:
            assert (await client.delete(f"{PATH}/{id_}")).status_code == 204

    async def leaves_nothing(self) -> None:
        """No job, payload or object is left over that the recordings do not need."""
        where = urlsplit(self.deck.storage_url)
        await nothing_left_over(self.deck.database_url, Path(where.path) if where.scheme == "file" else None)


@pytest.fixture(params=["local", "gcs"])
async def make_stage(
    request: pytest.FixtureRequest, make_deck: MakeDeck
) -> AsyncIterator[Callable[..., Any]]:
    """Makes a stage; keywords are environment variables. Uploads to the emulator do not go over the line."""
    stages: list[Stage] = []
    where: dict[str, str] = {}
    if request.param == "gcs":
        emulator: Emulator = request.getfixturevalue("emulator")
        where = {"STORAGE_EMULATOR_HOST": emulator.host}
    async with line() as between:

        async def make(**environment: str) -> Stage:
            url = request.getfixturevalue("emulator").storage_url if where else None
            deck = make_deck(
                url, **IN_A_HURRY | CALM | {"TAPEDECK_PUBLIC_URL": between.url} | where | environment
            )
            between.port_there = urlsplit(deck.url).port or 0
            await deck.start()
            stages.append(Stage(deck, between, Browser(deck, between.url)))
            return stages[-1]

        yield make
        for stage in stages:
            await stage.browser.close()


async def test_answers_that_are_lost_cost_nothing(make_stage: Callable[..., Any]) -> None:
    stage = await make_stage()
    browser, lost = stage.browser, stage.line.lost
    lost.append(f"POST {PATH} HTTP")
    with pytest.raises(httpx.TransportError):
        await browser.create()
    created = await browser.create()
    assert created["replayed"]
    id_, url = created["id"], created["video_upload_url"]
    if url.startswith(stage.line.url):
        lost.append("PUT ")
        with pytest.raises(httpx.TransportError):
            await browser.put(url)
    assert await browser.put(url) == 200
    lost.append(f"POST {PATH}/{id_}/confirm-video")
    with pytest.raises(httpx.TransportError):
        await browser.confirm(id_)
    assert (await browser.confirm(id_)).status_code == 200
    assert lost == []
    assert "video_upload_url" not in await browser.create()  # who asks again now need not upload
    done = await stage.ends(id_)
    assert (done["status"], done["video"]["bytes"]) == ("ready", len(WEBM))
    async with stage.deck.client() as client:
        assert len((await client.get(PATH)).json()["recordings"]) == 1
    await stage.leaves_nothing()


async def test_a_confirm_may_come_too_early_and_twice(make_stage: Callable[..., Any]) -> None:
    stage = await make_stage()
    created = await stage.browser.create()
    assert (await stage.browser.confirm(created["id"])).json()["code"] == "video_not_uploaded"
    assert await stage.browser.put(created["video_upload_url"]) == 200
    twice = await asyncio.gather(*(stage.browser.confirm(created["id"]) for _ in range(2)))
    assert [answer.status_code for answer in twice] == [200, 200]
    done = await stage.ends(created["id"])
    assert done["status"] == "ready"
    again = await stage.browser.confirm(created["id"])
    assert (again.status_code, again.json()["updated_at"]) == (200, done["updated_at"])
    await stage.leaves_nothing()


async def test_a_browser_that_was_closed_before_it_confirmed_loses_nothing(
    make_stage: Callable[..., Any],
) -> None:
    stage = await make_stage(TAPEDECK_VIDEO_WAIT_S="8")
    created = await stage.browser.create()
    assert await stage.browser.put(created["video_upload_url"]) == 200
    await stage.browser.close()
    done = await stage.ends(created["id"])
    assert (done["status"], done["video"]["codecs"]) == ("ready", ["vp9", "opus"])
    await stage.leaves_nothing()


@ON_THE_LINE
async def test_a_browser_that_was_closed_while_it_uploaded_may_still_come_back(
    make_stage: Callable[..., Any],
) -> None:
    stage = await make_stage(TAPEDECK_VIDEO_WAIT_S="3")
    created = await stage.browser.create()
    stage.line.stalled["PUT "] = 9000
    uploading = asyncio.create_task(stage.browser.put(created["video_upload_url"]))
    await stage.line.has_stalled.wait()
    assert (await stage.browser.confirm(created["id"])).json()["code"] == "video_not_uploaded"
    uploading.cancel()
    await asyncio.wait([uploading])
    failed = await stage.ends(created["id"])
    assert (failed["status"], failed["failure"]["code"]) == ("failed", "video_missing")

    late = await stage.browser.create()  # all that an extension remembers is its key
    assert late["id"] == created["id"]
    assert await stage.browser.put(late["video_upload_url"]) == 200
    assert (await stage.browser.confirm(late["id"])).json()["status"] == "processing"
    done = await stage.ends(created["id"])
    assert (done["status"], done["failure"]) == ("ready", None)
    await stage.leaves_nothing()


async def test_a_recording_whose_video_never_came_leaves_nothing_when_it_is_deleted(
    make_stage: Callable[..., Any],
) -> None:
    stage = await make_stage(TAPEDECK_VIDEO_WAIT_S="0.5")
    created = await stage.browser.create()
    assert (await stage.ends(created["id"]))["failure"]["code"] == "video_missing"
    await stage.delete(created["id"])
    await stage.leaves_nothing()


@ON_THE_LINE
async def test_a_url_that_expired_gives_way_to_a_fresh_one(make_stage: Callable[..., Any]) -> None:
    stage = await make_stage(TAPEDECK_UPLOAD_URL_TTL_S="3")
    created = await stage.browser.create()
    url = created["video_upload_url"]
    while await stage.browser.put(url, b"") == 200:
        await asyncio.sleep(0.2)
    assert await stage.browser.put(url) == 403
    assert await stage.browser.put(await stage.browser.fresh_url(created["id"])) == 200
    assert (await stage.browser.confirm(created["id"])).status_code == 200
    assert (await stage.ends(created["id"]))["video"]["bytes"] == len(WEBM)
    await stage.leaves_nothing()


@ON_THE_LINE
async def test_an_upload_that_stalls_is_ended_and_leaves_nothing(make_stage: Callable[..., Any]) -> None:
    stage = await make_stage()
    created = await stage.browser.create()
    stage.line.stalled["PUT "] = 9000
    assert await stage.browser.put(created["video_upload_url"]) == 408
    assert (await stage.browser.confirm(created["id"])).json()["code"] == "video_not_uploaded"
    assert await stage.browser.put(await stage.browser.fresh_url(created["id"])) == 200
    assert (await stage.browser.confirm(created["id"])).status_code == 200
    assert (await stage.ends(created["id"]))["status"] == "ready"
    await stage.leaves_nothing()


async def test_what_is_uploaded_after_a_deletion_leaves_nothing(make_stage: Callable[..., Any]) -> None:
    stage = await make_stage()
    created = await stage.browser.create()
    await stage.delete(created["id"])
    assert await stage.browser.put(created["video_upload_url"]) == 200  # nothing knows of it any more
    assert (await stage.browser.confirm(created["id"])).status_code == 404
    await stage.leaves_nothing()
    if not stage.deck.storage_url.startswith("file:"):
        host = stage.deck.environment["STORAGE_EMULATOR_HOST"]
        name = urlsplit(created["video_upload_url"]).path.partition("/incoming/")[2]
        async with httpx.AsyncClient(trust_env=False) as client:
            listed = await client.get(
                f"{host}/storage/v1/b/tapedeck-test/o", params={"prefix": f"incoming/{name}"}
            )
        assert listed.json().get("items", []) == []
