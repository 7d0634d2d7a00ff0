"""A recording in chunks, with a video, through all that may happen to it, in any order: never stuck, and no chunk lost."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from models import deletion, live, payload, processing, sweep
from models.db import Database
from models.deletion import OnHold
from models.job import JobKind
from models.live import NotOpen
from models.recording import OPENING, Status
from tests.factories import Deckhand, recording
from tests.models.sessions import LIVE, batch, opened_in_chunks, rows
from tests.models.steps import claimed, found, make_due, objects, processed, status
from tests.models.test_walks import STEPS as OF_ANY
from tests.models.test_walks import Life

ENDING = (
    ("claim_close", "close"),
    ("claim_process", "process"),
    ("claim_deadline", "deadline_finds_it"),
    ("claim_verify", "verify"),
    ("claim_mask", "mask"),
    ("claim_relate", "relate", "relate"),
)


class OpenLife(Life):
    """One that is opened, takes chunks, and is closed, whatever else happens to it meanwhile."""

    def __init__(self, db: Database, hand: Deckhand, id_: UUID) -> None:
        super().__init__(db, hand, id_)
        self.acknowledged = {OPENING}
        self.read: dict[UUID, list[int]] = {}  # claim → the batches that `process` read
        self.in_tape: set[int] = set()

    @classmethod
    async def begun(cls, db: Database, hand: Deckhand) -> "OpenLife":
        life = cls(db, hand, await opened_in_chunks(db, hand, has_video=True))
        await life.append()
        return life

    async def step(self, name: str) -> None:
        try:
            await super().step(name)
        except (NotOpen, OnHold):
            await self.check()

    async def append(self) -> None:
        await self._append(len(self.acknowledged) - 1)

    async def append_again(self) -> None:
        await self._append(0)

    async def finish(self) -> None:
        await live.finish(self.db, self.hand.tenant_id, self.id)

    async def claim_close(self) -> None:
        await self._claim(JobKind.CLOSE)

    async def close(self) -> None:
        await self._close(idle_s=0)

    async def close_too_early(self) -> None:
        await self._close(idle_s=60)

    async def hold(self) -> None:
        await deletion.hold(self.db, self.hand.tenant_id, self.id)

    async def release(self) -> None:
        await deletion.release(self.db, self.hand.tenant_id, self.id)

    async def claim_process(self) -> None:
        await super().claim_process()
        if work := self.held.get(JobKind.PROCESS):
            self.read.setdefault(work.claim.id, list(await payload.batches(self.db, self.id)))

    async def process(self) -> None:
        if work := self.held.get(JobKind.PROCESS):
            read = self.read[work.claim.id]
            await processing.commit_processed(self.db, work.claim, processed(work, batches=read))
            self.in_tape = set(read)
            self._note_masked(work)
            del self.held[JobKind.PROCESS]

    async def check(self) -> None:
        await super().check()
        one = await found(self.db, self.id)
        noted = await rows(self.db, "SELECT number FROM batch WHERE recording_id = :id", id=self.id)
        assert {number for (number,) in noted} == self.acknowledged
        kept = set(await payload.batches(self.db, self.id))
        if one.tape_name:
            assert self.in_tape == self.acknowledged
            assert not kept
        elif one.is_open or one.status is not Status.FAILED:
            assert kept == self.acknowledged
        else:
            assert kept in (set(), self.acknowledged)

    async def _append(self, seq: int) -> None:
        await live.append_chunk(self.db, self.hand.tenant_id, self.id, seq, batch(seq), LIVE)
        self.acknowledged.add(seq)

    async def _close(self, idle_s: float) -> None:
        if work := self.held.pop(JobKind.CLOSE, None):
            await live.commit_closed(self.db, work.claim, replace(LIVE, idle_s=idle_s))


OF_OPEN = [
    name
    for name in vars(OpenLife)
    if name not in ("step", "check", "begun") and not name.startswith("_") and name not in OF_ANY
]


@pytest.mark.timeout(300)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(OF_OPEN) | st.sampled_from(OF_ANY), min_size=6, max_size=20))
async def test_whatever_happens_while_it_is_open_nothing_is_stuck_and_no_chunk_lost(
    database: Database, hand: Deckhand, steps: list[str]
) -> None:
    async with database.transaction() as session:
        await session.execute(text("TRUNCATE object, job, mask_request"))
    life = await OpenLife.begun(database, hand)
    for step in steps:
        await life.step(step)
    life.held.clear()  # its workers are lost; then all goes well
    await life.step("release")
    has_failed = await status(database, life.id) is Status.FAILED
    for ending in ENDING:
        async with database.transaction() as session:
            await session.execute(
                text("UPDATE job SET state = 'due', claim_id = NULL WHERE state = 'running'")
            )
        for step in ending:
            await life.step(step)
    assert not (await found(database, life.id)).is_open
    assert await status(database, life.id) is (Status.FAILED if has_failed else Status.READY)


async def test_wherever_it_was_deleted_nothing_is_left_in_the_end(database: Database, hand: Deckhand) -> None:
    for steps in (
        [],
        ["claim_close", "append"],
        ["confirm", "claim_verify"],
        ["confirm", "claim_verify", "bad_video", "append"],
        ["claim_deadline", "deadline_finds_nothing", "ask_to_mask"],
        ["finish", "claim_process"],
        ["finish", "claim_process", "bad_events"],
    ):
        life = await OpenLife.begun(database, hand)
        for step in steps:
            await life.step(step)
        await deletion.delete_recording(database, hand.tenant_id, life.id)
        assert await live.append_chunk(database, hand.tenant_id, life.id, 9, batch(9), LIVE) is None
        async with database.transaction() as session:
            await session.execute(text("UPDATE object SET expires_at = now() - interval '1 second'"))
        names = await sweep.take_expired_objects(database, limit=10, recording_id=life.id)
        await sweep.forget_objects(database, names)
        await make_due(database)
        work = await claimed(database, life.id, JobKind.PURGE)
        assert await deletion.commit_purged(database, work.claim) == 0
        assert await recording(database, life.id) is None
        assert await objects(database) == {}
        assert await rows(database, "SELECT number FROM batch UNION SELECT batch FROM payload") == []
