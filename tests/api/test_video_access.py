"""Who may say something about a video, and what becomes of it while something is away or comes twice."""

import gzip
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from models.db import Database
from models.job import JobKind
from models.tenancy import Scope
from tests.api.conftest import Serve
from tests.api.served import Served
from tests.api.tenants import new_key, new_tenant
from tests.api.test_create import PATH
from tests.api.test_read import create
from tests.api.videos import WEBM, Videos
from tests.factories import Deckhand, recording, upload

KEY = {"Idempotency-Key": "k1"}
POSTS = ("confirm-video", "video-upload-url")


async def test_another_tenants_and_no_recording_are_not_found(
    api: httpx.AsyncClient, web: Served, database: Database
) -> None:
    path = await create(api, upload(has_video=True))
    stranger = await new_tenant(database)
    async with web.client(stranger.keys.api_key) as other:
        for post in POSTS:
            theirs, none = await other.post(f"{path}/{post}"), await api.post(f"{PATH}/{uuid4()}/{post}")
            assert theirs.status_code == none.status_code == 404
            assert theirs.json() == none.json()
        assert (await other.get(f"{path}/video")).json() == theirs.json()


async def test_an_ingest_key_knows_only_the_videos_of_what_it_made(
    api: httpx.AsyncClient, ingest: httpx.AsyncClient, web: Served, database: Database, hand: Deckhand
) -> None:
    theirs, ours = await create(api, upload(has_video=True)), await create(ingest, upload(has_video=True))
    async with web.client(await new_key(database, hand, Scope.INGEST)) as other:
        for post in POSTS:
            assert (await ingest.post(f"{theirs}/{post}")).status_code == 404
            assert (await other.post(f"{ours}/{post}")).status_code == 404
            assert (await ingest.post(f"{ours}/{post}")).status_code != 404
            assert (await api.post(f"{ours}/{post}")).status_code != 404


async def test_confirming_needs_ingest_and_watching_read(
    api: httpx.AsyncClient, anyone: httpx.AsyncClient, web: Served, database: Database, hand: Deckhand
) -> None:
    path = await create(api, upload(has_video=True))
    async with web.client(await new_key(database, hand, Scope.READ, Scope.MANAGE)) as reader:
        for post in POSTS:
            assert (await reader.post(f"{path}/{post}")).status_code == 403
            assert (await anyone.post(f"{path}/{post}")).status_code == 401
        assert (await reader.get(f"{path}/video")).json()["code"] == "video_not_found"
    async with web.client(await new_key(database, hand, Scope.INGEST, Scope.MANAGE)) as sender:
        assert (await sender.get(f"{path}/video")).status_code == 403


async def test_a_lost_answer_comes_again_with_a_url_of_now(videos: Videos) -> None:
    body = upload(has_video=True)
    first = await videos.ingest.post(PATH, content=body, headers=KEY)
    again = await videos.ingest.post(
        PATH, content=gzip.compress(body), headers=KEY | {"Content-Encoding": "gzip"}
    )
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert list(again.json()) == list(first.json())
    assert again.json()["id"] == first.json()["id"]
    paths = {urlsplit(answer.json()["video_upload_url"]).path for answer in (first, again)}
    assert len(paths) == 1  # one upload, whichever URL it takes
    assert (await videos.put(again.json()["video_upload_url"])).status_code == 200
    assert (await videos.confirm(first.headers["Location"])).status_code == 200


async def test_there_is_no_url_once_the_video_is_confirmed(videos: Videos) -> None:
    body = upload(has_video=True)
    first = await videos.ingest.post(PATH, content=body, headers=KEY)
    path = first.headers["Location"]
    await videos.put(first.json()["video_upload_url"])
    await videos.confirm(path)
    confirmed = await videos.ingest.post(PATH, content=body, headers=KEY)
    await videos.work(path, JobKind.PROCESS, JobKind.VERIFY_VIDEO)
    ready = await videos.ingest.post(PATH, content=body, headers=KEY)
    for again in (confirmed, ready):
        assert again.status_code == 201
        assert again.json() == {"id": first.json()["id"], "status": "uploading"}


async def test_a_missing_video_may_still_come_by_the_first_request_again(videos: Videos) -> None:
    body = upload(has_video=True)
    path = (await videos.ingest.post(PATH, content=body, headers=KEY)).headers["Location"]
    failed = await videos.work(path, JobKind.VIDEO_DEADLINE)
    assert failed["status"] == "failed"
    again = await videos.ingest.post(PATH, content=body, headers=KEY)
    await videos.put(again.json()["video_upload_url"])
    assert (await videos.confirm(path)).json()["status"] == "processing"


async def test_a_deleted_recording_gives_no_url_away(api: httpx.AsyncClient) -> None:
    body = upload(has_video=True)
    first = await api.post(PATH, content=body, headers=KEY)
    await api.delete(first.headers["Location"])
    again = await api.post(PATH, content=body, headers=KEY)
    assert again.json() == {"id": first.json()["id"], "status": "uploading"}


# The emulator checks no signature.
@pytest.mark.parametrize("videos", ["local"], indirect=True)
async def test_a_url_that_has_expired_is_replaced_by_a_fresh_one(
    web: Served, videos: Videos, database: Database
) -> None:
    created = await videos.create()
    found = await recording(database, created["id"])
    assert found
    assert found.upload_name
    expired = videos.tools.storage.sign_put(found.upload_name, ttl_s=-1)
    assert (await videos.put(expired)).status_code == 403
    path = f"{PATH}/{created['id']}"
    assert (await videos.confirm(path)).json()["code"] == "video_not_uploaded"
    fresh = (await videos.ingest.post(f"{path}/video-upload-url")).json()["video_upload_url"]
    assert (await videos.put(fresh)).status_code == 200
    assert (await videos.confirm(path)).status_code == 200


async def test_a_video_over_the_limit_is_cut_off_while_it_comes(
    serve: Serve, hand: Deckhand, database: Database
) -> None:
    limited = serve(max_video_bytes=len(WEBM) - 1)
    async with limited.client(hand.keys.ingest_key) as ingest:
        created = (await ingest.post(PATH, content=upload(has_video=True))).json()
        parts = urlsplit(created["video_upload_url"])
        answer = await ingest.put(f"{parts.path}?{parts.query}", content=WEBM)
        assert answer.status_code == 413
        confirm = await ingest.post(f"{PATH}/{created['id']}/confirm-video")
        assert confirm.json()["code"] == "video_not_uploaded"


async def test_storage_away_is_503_and_changes_nothing(serve: Serve, hand: Deckhand) -> None:
    away = serve(storage_url="gs://nowhere", storage_emulator_host="http://127.0.0.1:1")
    async with away.client(hand.keys.api_key) as api:
        created = await api.post(PATH, content=upload(has_video=True))
        assert created.status_code == 201  # which needs no storage, nor does signing
        path = created.headers["Location"]
        before = (await api.get(path)).json()
        answer = await api.post(f"{path}/confirm-video")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["Retry-After"]
        assert (await api.get(path)).json() == before
        assert (await api.post(f"{path}/video-upload-url")).status_code == 200
