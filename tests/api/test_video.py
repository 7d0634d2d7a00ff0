"""A recording's video over HTTP, on either storage: where to put it, that it is there, where to get it."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from models.job import JobKind
from models.recording import Recording
from tests.api.test_cors import EXTENSION, exposed
from tests.api.test_create import PATH, refusal
from tests.api.test_read import id_in
from tests.api.videos import MP4, OTHER_WEBM, WEBM, Videos
from tests.factories import job_of, recording, upload

PROCESS, VERIFY, DEADLINE = JobKind.PROCESS, JobKind.VERIFY_VIDEO, JobKind.VIDEO_DEADLINE
REDUCED = ["id", "status", "failure", "has_video", "created_at", "updated_at"]


async def row(videos: Videos, path: str) -> Recording:
    found = await recording(videos.tools.db, id_in(path))
    assert found
    return found


async def refused(videos: Videos, path: str, status: int = 409) -> str:
    """The code that this POST is refused with."""
    answer = await videos.ingest.post(path)
    assert answer.status_code == status, answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    return str(problem["code"])


async def test_a_video_that_is_announced_is_told_where_to_go(videos: Videos) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    created = await videos.create()
    assert list(created) == ["id", "status", "video_upload_url", "video_upload_expires_at"]
    assert created["status"] == "uploading"
    expires_at = datetime.strptime(created["video_upload_expires_at"], "%Y-%m-%dT%H:%M:%SZ").replace(
        tzinfo=UTC
    )
    assert 3600 <= (expires_at - before).total_seconds() < 3660
    read = (await videos.api.get(f"{PATH}/{created['id']}")).json()
    assert (read["has_video"], read["video"], read["status"]) == (True, None, "uploading")


@pytest.mark.parametrize("fields", [{}, {"has_video": False, "has_audio": True}])
async def test_without_a_video_there_is_nowhere_to_put_one(videos: Videos, fields: dict[str, Any]) -> None:
    answer = await videos.ingest.post(PATH, content=upload(**fields))
    assert answer.json() == {"id": answer.json()["id"], "status": "uploading"}
    path = answer.headers["Location"]
    assert await refused(videos, f"{path}/confirm-video") == "no_video_expected"
    assert await refused(videos, f"{path}/video-upload-url") == "no_video_expected"
    assert (await videos.api.get(f"{path}/video")).json()["code"] == "video_not_found"


async def test_events_may_be_empty_only_when_a_video_or_chunks_follow(api: httpx.AsyncClient) -> None:
    assert (await api.post(PATH, content=upload([], has_video=True))).status_code == 201
    assert (await api.post(PATH, content=upload([], open=True))).status_code == 201
    assert (await refusal(api, upload([])))["errors"][0]["field"] == "events"


@pytest.mark.parametrize(
    "content_type",
    ["video/webm;codecs=vp9,opus", "video/mp4", "application/octet-stream", None],
)
async def test_a_video_may_be_put_as_any_content_type(videos: Videos, content_type: str | None) -> None:
    created = await videos.create()
    body = MP4 if content_type == "video/mp4" else WEBM
    headers = {"Content-Type": content_type} if content_type else {}
    assert (await videos.put(created["video_upload_url"], body, headers)).status_code == 200
    path = f"{PATH}/{created['id']}"
    assert (await videos.confirm(path)).status_code == 200
    done = await videos.work(path, PROCESS, VERIFY)
    assert (done["status"], done["failure"]) == ("ready", None)
    video = done["video"]
    assert list(video) == ["duration_ms", "bytes", "container", "codecs", "has_audio"]
    assert (video["bytes"], video["container"]) == (len(body), "mp4" if body is MP4 else "webm")


async def test_a_video_alone_makes_a_recording_that_does_not_play(videos: Videos) -> None:
    path = await videos.uploaded(events_=[], duration_ms=4000, event_count=0)
    await videos.confirm(path)
    done = await videos.work(path, VERIFY, PROCESS)
    assert (done["status"], done["playable"], done["duration_ms"]) == ("ready", False, 4000)
    assert (await videos.api.get(f"{path}/events")).json() == []


async def test_a_confirm_before_the_upload_is_refused_and_one_after_it_is_not(videos: Videos) -> None:
    created = await videos.create()
    path = f"{PATH}/{created['id']}"
    early = await videos.confirm(path)
    assert (early.status_code, early.json()["code"]) == (409, "video_not_uploaded")
    assert int(early.headers["Retry-After"]) > 0
    await videos.put(created["video_upload_url"])
    confirmed = await videos.confirm(path)
    assert confirmed.status_code == 200
    assert confirmed.headers["Retry-After"]
    assert list(confirmed.json()) == REDUCED
    assert confirmed.json()["status"] == "processing"


# The emulator answers nobody else while an upload comes in.
@pytest.mark.parametrize("videos", ["local"], indirect=True)
async def test_a_confirm_before_the_end_of_the_upload_is_refused(videos: Videos) -> None:
    created = await videos.create()
    path = f"{PATH}/{created['id']}"
    under_way, may_end = asyncio.Event(), asyncio.Event()

    async def slowly() -> Any:
        yield WEBM[:20_000]
        under_way.set()
        await may_end.wait()
        yield WEBM[20_000:]

    putting = asyncio.create_task(videos.put(created["video_upload_url"], slowly()))
    await under_way.wait()
    assert await refused(videos, f"{path}/confirm-video") == "video_not_uploaded"
    may_end.set()
    assert (await putting).status_code == 200
    assert (await videos.confirm(path)).status_code == 200
    assert (await videos.work(path, PROCESS, VERIFY))["video"]["bytes"] == len(WEBM)


async def test_a_second_confirm_changes_nothing(videos: Videos) -> None:
    path = await videos.uploaded()
    first = await videos.confirm(path)
    assert (await videos.confirm(path)).json() == first.json()
    whole = await videos.api.post(f"{path}/confirm-video")
    assert whole.json() == (await videos.api.get(path)).json()
    done = await videos.work(path, PROCESS, VERIFY)
    again = await videos.api.post(f"{path}/confirm-video")
    assert (again.status_code, again.json()) == (200, done)
    assert "Retry-After" not in again.headers


async def test_of_two_confirms_at_once_one_has_an_effect(videos: Videos) -> None:
    path = await videos.uploaded()
    answers = await asyncio.gather(*(videos.confirm(path) for _ in range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len({answer.json()["updated_at"] for answer in answers}) == 1
    assert await job_of(videos.tools.db, id_in(path), DEADLINE) is None
    assert (await videos.work(path, PROCESS, VERIFY))["status"] == "ready"


async def test_a_confirm_that_races_the_deadline_ends_the_same_whoever_wins(videos: Videos) -> None:
    path = await videos.uploaded()
    answer, _ = await asyncio.gather(
        videos.confirm(path), videos.work(path, DEADLINE), return_exceptions=True
    )
    assert isinstance(answer, httpx.Response)
    assert answer.status_code == 200
    assert (await videos.work(path, PROCESS, VERIFY))["status"] == "ready"


async def test_a_video_that_comes_too_late_is_taken_all_the_same(videos: Videos) -> None:
    created = await videos.create()
    path = f"{PATH}/{created['id']}"
    missed = await videos.work(path, PROCESS, DEADLINE)
    assert (missed["status"], missed["failure"]["code"]) == ("failed", "video_missing")
    assert await refused(videos, f"{path}/confirm-video") == "video_not_uploaded"
    renewed = await videos.ingest.post(f"{path}/video-upload-url")
    assert (renewed.status_code, renewed.headers["Cache-Control"]) == (200, "no-store")
    assert list(renewed.json()) == ["video_upload_url", "video_upload_expires_at"]
    await videos.put(renewed.json()["video_upload_url"])
    back = await videos.confirm(path)
    assert (back.json()["status"], back.json()["failure"]) == ("processing", None)
    assert (await videos.work(path, VERIFY))["status"] == "ready"


async def test_a_retry_waits_for_the_video_that_was_missing(videos: Videos) -> None:
    path = f"{PATH}/{(await videos.create())['id']}"
    await videos.work(path, PROCESS, DEADLINE)
    answer = await videos.api.post(f"{path}/retry")
    assert (answer.status_code, answer.json()["status"]) == (202, "uploading")
    assert await job_of(videos.tools.db, id_in(path), DEADLINE)


@pytest.mark.parametrize("content", [b"", b"<!doctype html>"], ids=["empty", "html"])
async def test_what_is_no_video_fails_and_no_other_is_taken(videos: Videos, content: bytes) -> None:
    path = await videos.uploaded(content)
    assert (await videos.confirm(path)).status_code == 200
    failed = await videos.work(path, PROCESS, VERIFY)
    assert (failed["status"], failed["failure"]["code"]) == ("failed", "video_unreadable")
    assert await refused(videos, f"{path}/confirm-video") == "recording_failed"
    assert await refused(videos, f"{path}/video-upload-url") == "recording_failed"
    assert (await videos.api.get(f"{path}/video")).status_code == 404


async def test_a_confirmed_video_gets_no_other_url(videos: Videos) -> None:
    path = await videos.uploaded()
    await videos.confirm(path)
    assert await refused(videos, f"{path}/video-upload-url") == "video_already_confirmed"
    await videos.work(path, PROCESS, VERIFY)
    assert await refused(videos, f"{path}/video-upload-url") == "video_already_confirmed"


async def test_what_is_put_after_the_video_was_verified_changes_nothing(videos: Videos) -> None:
    created = await videos.create()
    path, url = f"{PATH}/{created['id']}", created["video_upload_url"]
    await videos.put(url)
    await videos.confirm(path)
    done = await videos.work(path, PROCESS, VERIFY)
    await videos.put(url, OTHER_WEBM)
    location = (await videos.api.get(f"{path}/video")).headers["Location"]
    assert (await videos.get(location)).content == WEBM
    assert (await videos.api.get(path)).json() == done


async def test_the_video_is_where_the_redirect_leads(videos: Videos) -> None:
    path = await videos.uploaded()
    for _ in range(2):  # neither uploaded nor confirmed it can be watched
        missing = await videos.api.get(f"{path}/video")
        assert (missing.status_code, missing.json()["code"]) == (404, "video_not_found")
        await videos.confirm(path)
    await videos.work(path, PROCESS, VERIFY)
    for ask in (videos.api.get, videos.api.head):
        found = await ask(f"{path}/video", headers={"Origin": EXTENSION})
        assert (found.status_code, found.content) == (307, b"")
        assert found.headers["Cache-Control"] == "no-store"
        assert found.headers["Access-Control-Allow-Origin"] == "*"
        assert "Location" in exposed(found)
    part = await videos.get(found.headers["Location"], {"Range": "bytes=4-99"})
    assert (part.status_code, part.content) == (206, WEBM[4:100])
    assert part.headers["Content-Range"] == f"bytes 4-99/{len(WEBM)}"


async def test_a_video_is_served_as_what_it_is(videos: Videos) -> None:
    created = await videos.create()
    await videos.put(created["video_upload_url"], MP4, {"Content-Type": "text/html"})
    path = f"{PATH}/{created['id']}"
    await videos.confirm(path)
    await videos.work(path, PROCESS, VERIFY)
    location = (await videos.api.get(f"{path}/video")).headers["Location"]
    assert "video%2Fmp4" in location


async def test_a_deleted_recordings_video_is_gone(videos: Videos) -> None:
    path = await videos.uploaded()
    await videos.confirm(path)
    await videos.work(path, PROCESS, VERIFY)
    location = (await videos.api.get(f"{path}/video")).headers["Location"]
    assert (await videos.api.delete(path)).status_code == 204
    assert (await videos.api.get(f"{path}/video")).status_code == 404
    assert await refused(videos, f"{path}/confirm-video", 404) == "not_found"
    assert await refused(videos, f"{path}/video-upload-url", 404) == "not_found"
    await videos.work(path, JobKind.PURGE)
    assert (await videos.get(location)).status_code == 404
