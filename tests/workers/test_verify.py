"""The jobs `verify_video` and `video_deadline`, on real storage: exactly what was inspected is what is kept."""

from pathlib import Path
from uuid import UUID

import httpx
import pytest

from models import deletion, lifecycle, queries, video
from models.db import Database
from models.job import JobKind
from models.ledger import ClaimLost
from models.lifecycle import Work
from models.object import ObjectKind
from models.recording import FailureCode, Status
from tests.factories import Deckhand, accepted, job_of, recording
from tests.models.steps import make_due, objects
from workers.purge import purge
from workers.tools import Tools
from workers.video.deadline import video_deadline
from workers.video.inspect import BadVideo
from workers.video.verify import verify_video

VIDEOS = Path(__file__).parents[1] / "fixtures" / "videos"
VP9 = (VIDEOS / "vp9-opus.webm").read_bytes()
VP8 = (VIDEOS / "vp8-opus.webm").read_bytes()


async def put(tools: Tools, name: str, body: bytes) -> None:
    """Upload as a client does, through a presigned URL."""
    assert tools.storage.asgi
    url = tools.storage.sign_put(name, ttl_s=60)
    path = url.replace("/storage/", "/", 1)  # where it is mounted
    transport = httpx.ASGITransport(tools.storage.asgi)
    async with httpx.AsyncClient(transport=transport) as client:
        assert (await client.put(path, content=body)).status_code == 200


async def awaiting(database: Database, hand: Deckhand) -> tuple[UUID, str]:
    id_ = await accepted(database, hand, has_video=True)
    found = await recording(database, id_)
    assert found
    assert found.upload_name
    return id_, found.upload_name


async def confirmed(tools: Tools, hand: Deckhand, body: bytes = VP9) -> tuple[UUID, str]:
    id_, upload = await awaiting(tools.db, hand)
    await put(tools, upload, body)
    stored = await tools.storage.stat(upload)
    assert stored
    await video.confirm(tools.db, id_, upload_name=upload, generation=stored.generation)
    return id_, upload


async def claimed(db: Database, id_: UUID, kind: JobKind) -> Work:
    await make_due(db)
    job = await job_of(db, id_, kind)
    assert job
    work = await lifecycle.claim(db, job.id, worker="a test", lease_s=60, put_deadline_s=10)
    assert work
    return work


async def test_what_was_confirmed_is_kept_under_a_name_that_no_url_can_write(
    tools: Tools, hand: Deckhand
) -> None:
    id_, upload = await confirmed(tools, hand)
    work = await claimed(tools.db, id_, JobKind.VERIFY_VIDEO)
    await verify_video(work, tools)
    found = await recording(tools.db, id_)
    assert found
    assert found.video
    assert (found.video["container"], found.video["codecs"]) == ("webm", ["vp9", "opus"])
    assert found.video["bytes"] == len(VP9)
    assert found.video_name == work.objects[ObjectKind.VIDEO]
    assert b"".join([piece async for piece in tools.storage.read(found.video_name)]) == VP9
    await put(tools, upload, b"changed")
    assert b"".join([piece async for piece in tools.storage.read(found.video_name)]) == VP9


async def test_an_upload_that_was_replaced_before_it_was_copied_gives_way_to_the_last(
    tools: Tools, hand: Deckhand
) -> None:
    id_, upload = await confirmed(tools, hand)
    await put(tools, upload, VP8)
    await verify_video(await claimed(tools.db, id_, JobKind.VERIFY_VIDEO), tools)
    found = await recording(tools.db, id_)
    assert found
    assert found.video
    assert found.video["codecs"] == ["vp8", "opus"]


async def test_an_upload_that_vanished_is_missing(tools: Tools, hand: Deckhand) -> None:
    id_, upload = await confirmed(tools, hand)
    await tools.storage.delete(upload)
    with pytest.raises(BadVideo) as caught:
        await verify_video(await claimed(tools.db, id_, JobKind.VERIFY_VIDEO), tools)
    assert caught.value.code is FailureCode.VIDEO_MISSING


@pytest.mark.parametrize(
    ("body", "limit", "code"),
    [
        (b"", 1 << 20, FailureCode.VIDEO_UNREADABLE),
        (b"<!doctype html><p>Sign in", 1 << 20, FailureCode.VIDEO_UNREADABLE),
        (VP9, len(VP9) - 1, FailureCode.VIDEO_TOO_LARGE),
    ],
    ids=["empty", "html", "too large"],
)
async def test_what_is_no_video_leaves_nothing_that_is_not_swept(
    tools: Tools, hand: Deckhand, body: bytes, limit: int, code: FailureCode
) -> None:
    id_, _ = await confirmed(tools, hand, body)
    work = await claimed(tools.db, id_, JobKind.VERIFY_VIDEO)
    strict = Tools(tools.db, tools.storage, 10, 1 << 30, max_video_bytes=limit)
    with pytest.raises(BadVideo) as caught:
        await verify_video(work, strict)
    assert caught.value.code is code
    (name,) = work.objects.values()
    assert (await objects(tools.db))[name] == "pending"  # so whatever was copied there will be swept


async def test_a_deletion_during_verification_wins(tools: Tools, hand: Deckhand) -> None:
    id_, _ = await confirmed(tools, hand)
    work = await claimed(tools.db, id_, JobKind.VERIFY_VIDEO)
    await deletion.delete_recording(tools.db, hand.tenant_id, id_)
    with pytest.raises(ClaimLost):
        await verify_video(work, tools)


async def test_a_purge_removes_an_upload_at_once_and_once_more_in_the_end(
    tools: Tools, hand: Deckhand
) -> None:
    id_, upload = await confirmed(tools, hand)
    await deletion.delete_recording(tools.db, hand.tenant_id, id_)
    await purge(await claimed(tools.db, id_, JobKind.PURGE), tools)
    assert await tools.storage.stat(upload) is None
    await put(tools, upload, VP9)  # the URL still holds
    await purge(await claimed(tools.db, id_, JobKind.PURGE), tools)
    assert await tools.storage.stat(upload) is None
    assert await recording(tools.db, id_)


async def test_the_deadline_confirms_for_a_browser_that_was_closed(tools: Tools, hand: Deckhand) -> None:
    id_, upload = await awaiting(tools.db, hand)
    await put(tools, upload, VP9)
    await video_deadline(await claimed(tools.db, id_, JobKind.VIDEO_DEADLINE), tools)
    await verify_video(await claimed(tools.db, id_, JobKind.VERIFY_VIDEO), tools)
    found = await queries.any_recording(tools.db, id_)
    assert found
    assert found.video


async def test_the_deadline_fails_a_recording_without_its_video(tools: Tools, hand: Deckhand) -> None:
    id_, _ = await awaiting(tools.db, hand)
    await video_deadline(await claimed(tools.db, id_, JobKind.VIDEO_DEADLINE), tools)
    found = await queries.any_recording(tools.db, id_)
    assert found
    assert (found.status, found.failure_code) == (Status.FAILED, FailureCode.VIDEO_MISSING)
