"""A recording's video: awaited, confirmed, verified or missing; whoever comes first, once."""

import asyncio
import contextlib
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from models import deletion, lifecycle, payload, sweep, video
from models.db import Database
from models.job import JobKind, JobState
from models.ledger import ClaimLost
from models.lifecycle import PayloadExpired, Work
from models.object import ObjectKind, PutObject
from models.recording import FailureCode, Recording, Status
from models.retry import Failure, FailureKind
from models.video import NotAwaited, Verified
from tests.factories import Deckhand, accepted, job_of, recording
from tests.models.steps import BAD, LOSS, claim, claimed, make_due, objects, processed, settle, status

UNREADABLE = Failure(FailureKind.BAD_INPUT, FailureCode.VIDEO_UNREADABLE, "It is no video.")
GONE = Failure(FailureKind.BAD_INPUT, FailureCode.VIDEO_MISSING, "It is gone.")
FACTS = {"duration_ms": 1400, "bytes": 9, "container": "webm", "codecs": ["vp9"], "has_audio": False}


def verified(work: Work, **facts: object) -> Verified:
    return Verified(PutObject(work.objects[ObjectKind.VIDEO], 9, 3), FACTS | facts)


async def awaiting(db: Database, hand: Deckhand) -> UUID:
    return await accepted(db, hand, has_video=True)


async def found(db: Database, recording_id: UUID) -> Recording:
    one = await recording(db, recording_id)
    assert one
    return one


async def confirm(db: Database, recording_id: UUID, generation: str = "1") -> None:
    name = (await found(db, recording_id)).upload_name
    await video.confirm(db, recording_id, upload_name=name or "", generation=generation)


async def process(db: Database, recording_id: UUID) -> Status:
    work = await claimed(db, recording_id, JobKind.PROCESS)
    return await lifecycle.commit_processed(db, work.claim, processed(work))


async def verify(db: Database, recording_id: UUID, **facts: object) -> Status:
    work = await claimed(db, recording_id, JobKind.VERIFY_VIDEO)
    return await video.commit_verified(db, work.claim, verified(work, **facts))


async def miss_deadline(db: Database, recording_id: UUID) -> None:
    await make_due(db)
    work = await claimed(db, recording_id, JobKind.VIDEO_DEADLINE)
    await video.commit_deadline(db, work.claim, generation=None)


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


class Life:
    """One recording with a video, and whatever may happen to it, in any order."""

    def __init__(self, db: Database, hand: Deckhand, id_: UUID) -> None:
        self.db = db
        self.hand = hand
        self.id = id_
        self.held: dict[JobKind, Work] = {}

    async def step(self, name: str) -> None:
        await make_due(self.db)
        with contextlib.suppress(ClaimLost, NotAwaited, PayloadExpired, lifecycle.NotFailed):
            await getattr(self, name)()
        await self.check()

    async def claim_process(self) -> None:
        await self._claim(JobKind.PROCESS)

    async def claim_verify(self) -> None:
        await self._claim(JobKind.VERIFY_VIDEO)

    async def claim_deadline(self) -> None:
        await self._claim(JobKind.VIDEO_DEADLINE)

    async def process(self) -> None:
        if work := self.held.pop(JobKind.PROCESS, None):
            await lifecycle.commit_processed(self.db, work.claim, processed(work))

    async def verify(self) -> None:
        if work := self.held.pop(JobKind.VERIFY_VIDEO, None):
            await video.commit_verified(self.db, work.claim, verified(work))

    async def deadline_finds_it(self) -> None:
        if work := self.held.pop(JobKind.VIDEO_DEADLINE, None):
            await video.commit_deadline(self.db, work.claim, generation="d")

    async def deadline_finds_nothing(self) -> None:
        if work := self.held.pop(JobKind.VIDEO_DEADLINE, None):
            await video.commit_deadline(self.db, work.claim, generation=None)

    async def bad_events(self) -> None:
        await self._settle(JobKind.PROCESS, BAD)

    async def bad_video(self) -> None:
        await self._settle(JobKind.VERIFY_VIDEO, UNREADABLE)

    async def video_gone(self) -> None:
        await self._settle(JobKind.VERIFY_VIDEO, GONE)

    async def confirm(self) -> None:
        await confirm(self.db, self.id)

    async def renew(self) -> None:
        await video.renew_upload(self.db, self.hand.tenant_id, self.id, ends_s=60)

    async def retry(self) -> None:
        await lifecycle.retry(self.db, self.hand.tenant_id, self.id, video_wait_s=60)

    async def drop(self) -> None:
        await sweep.drop_failed_payloads(self.db, days=0, limit=10)

    async def lose_workers(self) -> None:
        for work in self.held.values():
            await settle(self.db, work, LOSS)
        self.held.clear()

    async def check(self) -> None:
        one = await found(self.db, self.id)
        live = {
            kind
            for kind in JobKind
            if (job := await job_of(self.db, self.id, kind)) and job.state is not JobState.DEAD
        }
        match one.status:
            case Status.READY:
                assert one.tape_name
                assert one.video
            case Status.FAILED:
                assert one.failure_code
            case Status.UPLOADING:
                assert JobKind.VIDEO_DEADLINE in live
                assert one.tape_name or JobKind.PROCESS in live
            case Status.PROCESSING:
                assert one.tape_name or JobKind.PROCESS in live
                assert one.video or JobKind.VERIFY_VIDEO in live
        if one.tape_name is None and one.status is not Status.FAILED:
            assert await payload.batches(self.db, self.id)
        kept = {name for name, state in (await objects(self.db)).items() if state == "live"}
        named = {one.tape_name, one.sidecar_name, one.video_name, one.upload_name}
        assert kept == named - {None}

    async def _claim(self, kind: JobKind) -> None:
        if await job_of(self.db, self.id, kind) and (work := await claim(self.db, self.id, kind)):
            self.held[kind] = work

    async def _settle(self, kind: JobKind, failure: Failure) -> None:
        if work := self.held.pop(kind, None):
            await settle(self.db, work, failure)


STEPS = [name for name in vars(Life) if name not in ("step", "check") and not name.startswith("_")]


@pytest.mark.timeout(300)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(STEPS), min_size=4, max_size=16))
async def test_whatever_happens_nothing_is_stuck_and_no_object_forgotten(
    database: Database, hand: Deckhand, steps: list[str]
) -> None:
    async with database.transaction() as session:
        await session.execute(text("TRUNCATE object, job"))
    life = Life(database, hand, await awaiting(database, hand))
    for step in steps:
        await life.step(step)
    if (await found(database, life.id)).status is Status.FAILED:
        return
    life.held.clear()  # its workers are lost; then all goes well
    for ending in (
        ("claim_process", "process"),
        ("claim_deadline", "deadline_finds_it"),
        ("claim_verify", "verify"),
    ):
        async with database.transaction() as session:
            await session.execute(
                text("UPDATE job SET state = 'due', claim_id = NULL WHERE state = 'running'")
            )
        for step in ending:
            await life.step(step)
    assert await status(database, life.id) is Status.READY


async def test_wherever_it_was_deleted_nothing_is_left_in_the_end(database: Database, hand: Deckhand) -> None:
    for steps in (
        [],
        ["claim_process", "process"],
        ["confirm", "claim_verify"],
        ["confirm", "claim_verify", "verify", "claim_process"],
        ["claim_deadline", "deadline_finds_nothing", "renew"],
    ):
        life = Life(database, hand, await awaiting(database, hand))
        for step in steps:
            await life.step(step)
        await deletion.delete_recording(database, hand.tenant_id, life.id)
        async with database.transaction() as session:
            await session.execute(text("UPDATE object SET expires_at = now() - interval '1 second'"))
        names = await sweep.take_expired_objects(database, limit=10, recording_id=life.id)
        await sweep.forget_objects(database, names)
        work = await claimed(database, life.id, JobKind.PURGE)
        assert await deletion.commit_purged(database, work.claim) == 0
        assert await recording(database, life.id) is None
        assert await objects(database) == {}
