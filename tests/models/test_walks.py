"""A recording with a video, through all that may happen to it, in any order: never stuck, no object forgotten."""

import contextlib
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from models import deletion, lifecycle, masking, payload, processing, relating, sweep, video
from models.db import Database
from models.job import JobKind, JobState
from models.ledger import ClaimLost
from models.lifecycle import PayloadExpired, Work
from models.masking import Masked, Progress
from models.object import ObjectKind
from models.recording import Source, Status
from models.relating import NotReady, Origin, Overtaken
from models.retry import Failure
from models.video import NotAwaited
from replay.index import Index
from replay.privacy import Rules
from tests.factories import Deckhand, accepted, job_of, recording
from tests.models.steps import (
    BAD,
    GONE,
    LOSS,
    MASKED,
    UNREADABLE,
    awaiting,
    claim,
    claimed,
    confirm,
    found,
    make_due,
    masked,
    objects,
    processed,
    settle,
    status,
    verified,
)


class Life:
    """One recording with a video, and whatever may happen to it, in any order."""

    def __init__(self, db: Database, hand: Deckhand, id_: UUID) -> None:
        self.db = db
        self.hand = hand
        self.id = id_
        self.held: dict[JobKind, Work] = {}
        self.asked_to_mask = False
        self.origins: dict[UUID, Origin] = {}  # claim → what it will commit rows of
        self.made: dict[UUID, Masked] = {}  # claim → what it will commit
        self.read_masked: dict[UUID, bool] = {}  # claim → whether the payload that it read is masked
        self.masked_tapes: set[str | None] = {None}

    async def step(self, name: str) -> None:
        await make_due(self.db)
        with contextlib.suppress(ClaimLost, NotAwaited, NotReady, PayloadExpired, lifecycle.NotFailed):
            await getattr(self, name)()
        await self.check()

    async def claim_process(self) -> None:
        await self._claim(JobKind.PROCESS)
        if work := self.held.get(JobKind.PROCESS):
            self.read_masked.setdefault(work.claim.id, await self._payload() == MASKED)

    async def claim_verify(self) -> None:
        await self._claim(JobKind.VERIFY_VIDEO)

    async def claim_deadline(self) -> None:
        await self._claim(JobKind.VIDEO_DEADLINE)

    async def process(self) -> None:
        if work := self.held.pop(JobKind.PROCESS, None):
            await processing.commit_processed(self.db, work.claim, processed(work))
            self._note_masked(work)

    async def ask_to_mask(self) -> None:
        await masking.ask(self.db, self.hand.tenant_id, self.id, Rules())
        self.asked_to_mask = True

    async def claim_mask(self) -> None:
        await self._claim(JobKind.MASK)
        if (work := self.held.get(JobKind.MASK)) and work.claim.id not in self.made:
            self.made[work.claim.id] = await masked(self.db, self.hand, work)

    async def mask(self) -> None:
        if work := self.held.pop(JobKind.MASK, None):
            await masking.commit_masked(self.db, work.claim, self.made[work.claim.id])
            self.masked_tapes.add(work.objects[ObjectKind.TAPE])

    async def ask_to_relate(self) -> None:
        await relating.ask(self.db, self.hand.tenant_id, self.id)

    async def claim_relate(self) -> None:
        await self._claim(JobKind.RELATE)
        if (work := self.held.get(JobKind.RELATE)) and work.claim.id not in self.origins:
            tape_name = (await found(self.db, self.id)).tape_name
            self.origins[work.claim.id] = Origin(tape_name or "", "", Index(1, 0, (), ()))

    async def relate(self) -> None:
        if work := self.held.pop(JobKind.RELATE, None):
            origin = self.origins[work.claim.id]
            try:
                async with relating.replacing(self.db, work.claim, origin, limit_s=10):
                    pass
            except Overtaken:  # begins anew
                self.origins[work.claim.id] = replace(
                    origin, tape_name=(await found(self.db, self.id)).tape_name or ""
                )
                self.held[JobKind.RELATE] = work

    async def drop_outdated_rows(self) -> None:
        if work := self.held.get(JobKind.RELATE):
            await relating.drop_outdated(self.db, work.claim)

    async def bad_relate(self) -> None:
        await self._settle(JobKind.RELATE, BAD)

    async def bad_mask(self) -> None:
        await self._settle(JobKind.MASK, BAD)

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
            case Status.UPLOADING if one.is_open:
                assert JobKind.CLOSE in live
                assert one.video or live & {JobKind.VIDEO_DEADLINE, JobKind.VERIFY_VIDEO}
            case Status.UPLOADING:
                assert JobKind.VIDEO_DEADLINE in live
                assert one.tape_name or JobKind.PROCESS in live
            case Status.PROCESSING:
                assert one.tape_name or JobKind.PROCESS in live
                assert one.video or JobKind.VERIFY_VIDEO in live
                if one.source is Source.REPLAY and one.tape_name:
                    assert one.rows_tape_name or JobKind.RELATE in live
        if lifecycle.has_outdated_rows(one):
            assert JobKind.RELATE in live
        if one.source is Source.REPLAY and one.tape_name and not lifecycle.has_rows(one):
            assert await job_of(self.db, self.id, JobKind.RELATE)
        if one.tape_name is None and one.status is not Status.FAILED:
            assert await payload.batches(self.db, self.id)
        kept = {name for name, state in (await objects(self.db)).items() if state == "live"}
        named = {one.tape_name, one.sidecar_name, one.video_name, one.upload_name}
        assert kept == named - {None}

        async with self.db.autocommit() as connection:
            is_wanted = (
                await connection.execute(text("SELECT EXISTS (SELECT FROM mask_request)"))
            ).scalar_one()
        if is_wanted:
            must_wait = one.is_open or one.held_at or JobKind.PROCESS in live
            assert must_wait or await job_of(self.db, self.id, JobKind.MASK)
        elif self.asked_to_mask:
            assert one.tape_name in self.masked_tapes
            assert await self._payload() in (b"", MASKED)

    def _note_masked(self, processed_: Work) -> None:
        if self.read_masked[processed_.claim.id]:
            self.masked_tapes.add(processed_.objects[ObjectKind.TAPE])

    async def _payload(self) -> bytes:
        return b"".join([chunk async for chunk in payload.chunks(self.db, self.id, 0)])

    async def _claim(self, kind: JobKind) -> None:
        if await job_of(self.db, self.id, kind) and (work := await claim(self.db, self.id, kind)):
            self.held[kind] = work

    async def _settle(self, kind: JobKind, failure: Failure) -> None:
        if work := self.held.pop(kind, None):
            await settle(self.db, work, failure)


STEPS = [name for name in vars(Life) if name not in ("step", "check") and not name.startswith("_")]


@pytest.mark.timeout(300)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(STEPS), min_size=4, max_size=16), st.sampled_from(Source))
async def test_whatever_happens_nothing_is_stuck_and_no_object_forgotten(
    database: Database, hand: Deckhand, steps: list[str], source: Source
) -> None:
    async with database.transaction() as session:
        await session.execute(text("TRUNCATE object, job, mask_request"))
    life = Life(database, hand, await accepted(database, hand, has_video=True, source=source))
    for step in steps:
        await life.step(step)
    if (await found(database, life.id)).status is Status.FAILED:
        return
    life.held.clear()  # its workers are lost; then all goes well
    for ending in (
        ("claim_process", "process"),
        ("claim_deadline", "deadline_finds_it"),
        ("claim_verify", "verify"),
        ("claim_mask", "mask"),
        ("claim_relate", "relate", "relate"),
    ):
        async with database.transaction() as session:
            await session.execute(
                text("UPDATE job SET state = 'due', claim_id = NULL WHERE state = 'running'")
            )
        for step in ending:
            await life.step(step)
    assert await status(database, life.id) is Status.READY
    dead = await job_of(database, life.id, JobKind.MASK)
    found_ = await masking.progress(database, hand.tenant_id, life.id)
    assert found_ == (Status.READY, Progress.FAILED if dead else Progress.DONE)


async def test_wherever_it_was_deleted_nothing_is_left_in_the_end(database: Database, hand: Deckhand) -> None:
    for steps in (
        [],
        ["claim_process", "process"],
        ["confirm", "claim_verify"],
        ["confirm", "claim_verify", "verify", "claim_process"],
        ["claim_deadline", "deadline_finds_nothing", "renew"],
        ["ask_to_mask", "claim_process", "process", "claim_mask", "ask_to_mask"],
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
