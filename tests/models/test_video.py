"""A recording's video: awaited, confirmed, verified or missing; whoever comes first, once."""

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import text

from models import deletion, lifecycle, sweep, video
from models.db import Database
from models.job import JobKind
from models.ledger import ClaimLost
from models.lifecycle import PayloadExpired
from models.recording import FailureCode, Status
from models.video import NotAwaited
from tests.factories import Deckhand, job_of
from tests.models.steps import (
    BAD,
    FACTS,
    GONE,
    UNREADABLE,
    awaiting,
    claimed,
    confirm,
    found,
    make_due,
    miss_deadline,
    objects,
    process,
    settle,
    status,
    verify,
)


async def test_it_stays_uploading_until_its_video_is_confirmed(database: Database, hand: Deckhand) -> None:
    id_ = await awaiting(database, hand)
    assert await process(database, id_) is Status.UPLOADING
    await confirm(database, id_)
    assert await status(database, id_) is Status.PROCESSING
    assert await verify(database, id_) is Status.READY
    assert (await found(database, id_)).video == FACTS


async def test_it_waits_for_its_tape_when_the_video_comes_first(database: Database, hand: Deckhand) -> None:
    id_ = await awaiting(database, hand)
    await confirm(database, id_)
    assert await verify(database, id_) is Status.PROCESSING
    assert await process(database, id_) is Status.READY


async def test_the_upload_is_kept_until_its_last_url_is_over(database: Database, hand: Deckhand) -> None:
    id_ = await awaiting(database, hand)
    upload = (await found(database, id_)).upload_name
    assert upload
    assert (await objects(database))[upload] == "live"
    await confirm(database, id_)
    await verify(database, id_)
    assert (await objects(database))[upload] == "dead"
    assert await sweep.take_expired_objects(database, limit=10) == []
    assert (await found(database, id_)).upload_name is None


async def test_of_many_confirms_one_has_an_effect(database: Database, hand: Deckhand) -> None:
    id_ = await awaiting(database, hand)
    outcomes = await asyncio.gather(
        *(confirm(database, id_, str(n)) for n in range(8)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes].count(NotAwaited) == 7
    assert await job_of(database, id_, JobKind.VERIFY_VIDEO)
    assert await job_of(database, id_, JobKind.VIDEO_DEADLINE) is None


async def test_a_confirm_that_races_the_deadline_wins_or_comes_too_late(
    database: Database, hand: Deckhand
) -> None:
    id_ = await awaiting(database, hand)
    await make_due(database)
    work = await claimed(database, id_, JobKind.VIDEO_DEADLINE)
    await confirm(database, id_)
    with pytest.raises(ClaimLost):
        await video.commit_deadline(database, work.claim, generation=None)
    assert await status(database, id_) is Status.PROCESSING


async def test_the_deadline_confirms_what_is_there(database: Database, hand: Deckhand) -> None:
    id_ = await awaiting(database, hand)
    await make_due(database)
    work = await claimed(database, id_, JobKind.VIDEO_DEADLINE)
    await video.commit_deadline(database, work.claim, generation="7")
    assert (await found(database, id_)).upload_generation == "7"
    assert await verify(database, id_) is Status.PROCESSING
    assert await process(database, id_) is Status.READY


async def test_a_late_video_revives_a_recording_that_missed_it(database: Database, hand: Deckhand) -> None:
    id_ = await awaiting(database, hand)
    await process(database, id_)
    await miss_deadline(database, id_)
    assert (await found(database, id_)).failure_code is FailureCode.VIDEO_MISSING
    assert await video.renew_upload(database, hand.tenant_id, id_, ends_s=60)
    await confirm(database, id_)
    assert (await found(database, id_)).failure_code is None
    assert await verify(database, id_) is Status.READY


async def test_a_late_video_revives_what_died_meanwhile(database: Database, hand: Deckhand) -> None:
    id_ = await awaiting(database, hand)
    await miss_deadline(database, id_)
    await settle(database, await claimed(database, id_, JobKind.PROCESS), BAD)
    await confirm(database, id_)
    assert await verify(database, id_) is Status.PROCESSING
    assert await process(database, id_) is Status.READY


async def test_a_retry_after_a_missing_video_waits_for_it_again(database: Database, hand: Deckhand) -> None:
    id_ = await awaiting(database, hand)
    await miss_deadline(database, id_)
    after = await lifecycle.retry(database, hand.tenant_id, id_, video_wait_s=60)
    assert after is Status.UPLOADING
    await miss_deadline(database, id_)
    assert await status(database, id_) is Status.FAILED


async def test_no_video_is_awaited_by_a_recording_that_failed_otherwise(
    database: Database, hand: Deckhand
) -> None:
    id_ = await awaiting(database, hand)
    await settle(database, await claimed(database, id_, JobKind.PROCESS), BAD)
    with pytest.raises(NotAwaited):
        await confirm(database, id_)
    with pytest.raises(NotAwaited):
        await video.renew_upload(database, hand.tenant_id, id_, ends_s=60)
    await miss_deadline(database, id_)
    assert (await found(database, id_)).failure_code is FailureCode.NO_VALID_EVENTS
    assert await lifecycle.retry(database, hand.tenant_id, id_, video_wait_s=60) is Status.UPLOADING


async def test_an_upload_that_vanished_can_be_made_again(database: Database, hand: Deckhand) -> None:
    id_ = await awaiting(database, hand)
    await confirm(database, id_)
    await settle(database, await claimed(database, id_, JobKind.VERIFY_VIDEO), GONE)
    assert (await found(database, id_)).failure_code is FailureCode.VIDEO_MISSING
    await confirm(database, id_, "2")
    assert await verify(database, id_) is Status.PROCESSING


async def test_a_video_that_is_none_can_be_looked_at_again_until_it_is_dropped(
    database: Database, hand: Deckhand
) -> None:
    id_ = await awaiting(database, hand)
    await process(database, id_)
    await confirm(database, id_)
    await settle(database, await claimed(database, id_, JobKind.VERIFY_VIDEO), UNREADABLE)
    assert await lifecycle.retry(database, hand.tenant_id, id_, video_wait_s=60) is Status.PROCESSING
    await settle(database, await claimed(database, id_, JobKind.VERIFY_VIDEO), UNREADABLE)
    assert await sweep.drop_failed_payloads(database, days=0, limit=10) == 1
    assert await sweep.drop_failed_payloads(database, days=0, limit=10) == 0
    with pytest.raises(PayloadExpired):
        await lifecycle.retry(database, hand.tenant_id, id_, video_wait_s=60)


async def test_another_upload_after_the_first_was_dropped_has_another_name(
    database: Database, hand: Deckhand
) -> None:
    id_ = await awaiting(database, hand)
    first = (await found(database, id_)).upload_name
    await miss_deadline(database, id_)
    await sweep.drop_failed_payloads(database, days=0, limit=10)
    second = await video.renew_upload(database, hand.tenant_id, id_, ends_s=60)
    assert second not in (None, first)
    assert (await objects(database))[second or ""] == "live"


async def test_a_renewed_url_keeps_the_name_and_moves_its_end(database: Database, hand: Deckhand) -> None:
    id_ = await awaiting(database, hand)
    name = (await found(database, id_)).upload_name
    assert await video.renew_upload(database, hand.tenant_id, id_, ends_s=9000) == name
    async with database.autocommit() as connection:
        left = await connection.execute(text("SELECT extract(epoch FROM expires_at - now()) FROM object"))
    assert float(left.scalar_one()) > 8000
    assert await video.renew_upload(database, uuid4(), id_, ends_s=60) is None


async def test_a_deleted_recording_is_purged_again_after_its_last_url(
    database: Database, hand: Deckhand
) -> None:
    id_ = await awaiting(database, hand)
    await deletion.delete_recording(database, hand.tenant_id, id_)
    with pytest.raises(NotAwaited):
        await video.confirm(database, id_, upload_name="any", generation="1")
    assert len(await sweep.uploads_of(database, id_)) == 1
    work = await claimed(database, id_, JobKind.PURGE)
    assert await deletion.commit_purged(database, work.claim) > 60


@pytest.mark.parametrize("video_first", [True, False])
async def test_a_duration_far_from_the_events_is_a_warning(
    database: Database, hand: Deckhand, video_first: bool
) -> None:
    id_ = await awaiting(database, hand)
    if not video_first:
        await process(database, id_)
    await confirm(database, id_)
    await verify(database, id_, duration_ms=90_000)
    if video_first:
        await process(database, id_)
    (warning,) = (await found(database, id_)).warnings
    assert warning["code"] == "duration_differs"
    assert "90000 ms" in warning["message"]
    assert "1500 ms" in warning["message"]


async def test_a_duration_that_is_not_known_is_no_warning(database: Database, hand: Deckhand) -> None:
    id_ = await awaiting(database, hand)
    await confirm(database, id_)
    await verify(database, id_, duration_ms=None)
    assert await process(database, id_) is Status.READY
    assert (await found(database, id_)).warnings == []
