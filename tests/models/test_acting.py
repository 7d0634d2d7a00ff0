"""What operators do to jobs: once each, only to what still matches, whoever else is at it, wherever it is cut off."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from models import acting, action, filters, lives, queues, sweep
from models.action import Action, ActionState, Verb
from models.db import Database
from models.filters import JobFilter, Wanted
from models.job import JobKind
from models.lives import TooCostly
from models.recording import FailureCode, Status
from tests.factories import Deckhand, accepted, job_of
from tests.models.steps import AWAY, BAD, claim, claimed, found, make_due, process, settle, status
from workers import actions

DEAD = JobFilter(state=Wanted.DEAD)


async def dead(db: Database, hand: Deckhand, count: int = 1) -> list[UUID]:
    ids = [await accepted(db, hand) for _ in range(count)]
    for id_ in ids:
        await settle(db, await claimed(db, id_), BAD)
    return ids


async def begin(db: Database, verb: Verb, jobs: JobFilter = DEAD) -> UUID:
    seen = await filters.preview(db, jobs, acting.applicable(verb))
    async with db.transaction() as session:
        return (await action.request(session, "kim", verb, jobs, matched=seen.matched)).id


async def advance(db: Database, times: int = 1) -> None:
    for _ in range(times):
        await actions.advance(db, video_wait_s=60)


async def one(db: Database, id_: UUID) -> Action:
    read = await action.one(db, id_)
    assert read
    return read


async def counts(db: Database, id_: UUID) -> tuple[Any, ...]:
    read = await one(db, id_)
    return read.state, read.done, read.skipped


async def test_the_first_few_go_ahead_and_the_rest_follows_when_they_went_well(
    database: Database, hand: Deckhand
) -> None:
    ids = await dead(database, hand, 6)
    id_ = await begin(database, Verb.RETRY)
    await advance(database, 3)
    assert await counts(database, id_) == (ActionState.CANARY, 3, 0)
    back = [one for one in ids if await status(database, one) is Status.PROCESSING]
    assert len(back) == 3
    for recording_id in back:
        await process(database, recording_id)
    await advance(database, 3)
    assert await counts(database, id_) == (ActionState.DONE, 6, 0)
    assert [await status(database, one) for one in ids].count(Status.FAILED) == 0
    logged = [
        (entry.who, entry.what, entry.count) for entry in await action.log(database, limit=9, before=None)
    ]
    assert logged == [("kim", "retry done", 6), ("kim", "retry begun", 6)]


async def test_a_canary_that_fails_again_stops_the_rest(database: Database, hand: Deckhand) -> None:
    ids = await dead(database, hand, 5)
    id_ = await begin(database, Verb.RETRY)
    await advance(database, 2)
    for recording_id in ids:
        if await status(database, recording_id) is Status.PROCESSING:
            await settle(database, await claimed(database, recording_id), BAD)
    await advance(database, 3)
    assert await counts(database, id_) == (ActionState.STOPPED, 3, 0)
    assert (await one(database, id_)).reason == "the first ones failed again"


async def test_two_dispatchers_do_each_job_once(database: Database, hand: Deckhand) -> None:
    await dead(database, hand, 8)
    id_ = await begin(database, Verb.DISCARD)
    await asyncio.gather(advance(database, 3), advance(database, 3))
    await advance(database)
    assert await counts(database, id_) == (ActionState.DONE, 8, 0)


async def test_an_action_that_was_cut_off_goes_on_where_it_was(
    database: Database, hand: Deckhand, monkeypatch: pytest.MonkeyPatch
) -> None:
    await dead(database, hand, 5)
    id_ = await begin(database, Verb.DISCARD)
    apply, calls = acting.apply, 0

    async def crash_at_the_third(*given: Any, **options: Any) -> bool:
        nonlocal calls
        calls += 1
        done = await apply(*given, **options)
        if calls == 3:
            raise RuntimeError("killed")
        return done

    monkeypatch.setattr(acting, "apply", crash_at_the_third)
    with pytest.raises(RuntimeError):
        await advance(database)
    assert (await one(database, id_)).done == 2
    await advance(database, 2)
    assert await counts(database, id_) == (ActionState.DONE, 5, 0)


async def test_what_finished_meanwhile_is_left_alone(database: Database, hand: Deckhand) -> None:
    ids = [await accepted(database, hand) for _ in range(3)]
    for recording_id in ids:
        await settle(database, await claimed(database, recording_id), AWAY)
    action_ = Action(verb=Verb.RETRY, filter={"state": "scheduled"}, who="kim", matched=3)
    job_ids = [job.id for recording_id in ids if (job := await job_of(database, recording_id))]
    await make_due(database)
    await process(database, ids[0])
    working = await claimed(database, ids[1])
    for job_id in job_ids[:2]:
        async with database.transaction() as session:
            assert not await acting.apply(session, Verb.RETRY, job_id, action_.jobs, video_wait_s=60)
    assert await status(database, ids[0]) is Status.READY
    assert working.claim.job_id == job_ids[1]


async def test_retry_now_does_not_wait(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    await settle(database, await claimed(database, id_), AWAY)
    async with database.transaction() as session:
        later = "now() + interval '1 hour'"
        await session.execute(text(f"UPDATE job SET due_at = {later}, ring_at = {later}"))  # a constant
    assert await claim(database, id_) is None
    job = await job_of(database, id_)
    assert job
    async with database.transaction() as session:
        assert await acting.apply(session, Verb.RETRY, job.id, JobFilter(), video_wait_s=60)
    work = await claimed(database, id_)
    assert (work.claim.attempts, work.claim.losses) == (1, 0)


async def test_of_two_operators_at_one_job_one_acts(database: Database, hand: Deckhand) -> None:
    (recording_id,) = await dead(database, hand)
    job = await job_of(database, recording_id)
    assert job

    async def act(verb: Verb) -> bool:
        async with database.transaction() as session:
            return await acting.apply(session, verb, job.id, DEAD, video_wait_s=60)

    results = await asyncio.gather(*(act(verb) for verb in (Verb.RETRY, Verb.DISCARD, Verb.RETRY)))
    assert sum(results) == 1


async def test_a_discard_fails_its_recording_if_the_job_was_owed(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    await begin(database, Verb.DISCARD, JobFilter(recording_id=id_))
    await advance(database)
    read = await found(database, id_)
    assert (read.status, read.failure_code) == (Status.FAILED, FailureCode.PROCESSING_FAILED)
    assert read.failure_message == acting.DISCARDED
    assert await job_of(database, id_) is None


async def test_what_nothing_may_end_is_not_discarded(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand, has_video=True)
    seen = await filters.preview(database, JobFilter(), acting.applicable(Verb.DISCARD))
    assert seen.matched == 1
    deadline = await job_of(database, id_, JobKind.VIDEO_DEADLINE)
    assert deadline
    async with database.transaction() as session:
        assert not await acting.apply(session, Verb.DISCARD, deadline.id, JobFilter(), video_wait_s=60)


async def test_a_retry_of_what_has_nothing_left_is_skipped(database: Database, hand: Deckhand) -> None:
    await dead(database, hand)
    await sweep.drop_failed_payloads(database, days=0, limit=10)
    id_ = await begin(database, Verb.RETRY)
    await advance(database, 3)
    assert await counts(database, id_) == (ActionState.DONE, 0, 1)


async def test_a_stopped_action_does_no_more(database: Database, hand: Deckhand) -> None:
    await dead(database, hand, 2)
    id_ = await begin(database, Verb.DISCARD)
    running = await one(database, id_)
    async with database.transaction() as session:
        stopped = await action.stop(session, id_, "lee")
    assert stopped
    assert stopped.state is ActionState.STOPPED
    await acting.step(database, running, limit=10, video_wait_s=60)
    assert (await counts(database, id_))[1] == 0


async def test_a_retry_waits_until_the_queue_has_room_and_says_so(
    database: Database, hand: Deckhand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acting, "BACKLOG_MAX", 2)
    await dead(database, hand, 2)
    waiting = [await accepted(database, hand) for _ in range(2)]
    id_ = await begin(database, Verb.RETRY)
    async with database.transaction() as session:
        await queues.pause(session, JobKind.PROCESS, "kim")
    await advance(database, 3)
    assert await counts(database, id_) == (ActionState.PENDING, 0, 0)
    assert (
        await one(database, id_)
    ).reason == "waits: 2 jobs of the queue process are to be worked off first"
    async with database.transaction() as session:
        await queues.resume(session, JobKind.PROCESS)
    await process(database, waiting[0])
    await advance(database)
    assert await counts(database, id_) == (ActionState.PENDING, 2, 0)
    assert (await one(database, id_)).reason is None
    await advance(database, 2)
    assert (await counts(database, id_))[0] is ActionState.DONE


async def test_an_action_that_waits_is_stopped_and_a_discard_never_waits(
    database: Database, hand: Deckhand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acting, "BACKLOG_MAX", 1)
    await dead(database, hand, 2)
    await accepted(database, hand)
    id_ = await begin(database, Verb.RETRY)
    await advance(database)
    async with database.transaction() as session:
        await action.stop(session, id_, "lee")
    await advance(database)
    assert await counts(database, id_) == (ActionState.STOPPED, 0, 0)
    assert (await one(database, id_)).reason == "stopped by lee"
    discard = await begin(database, Verb.DISCARD)
    await advance(database, 2)
    assert await counts(database, discard) == (ActionState.DONE, 2, 0)


async def test_what_is_ready_is_counted_by_its_index(database: Database) -> None:
    async with database.autocommit() as connection:
        explain = text(f"EXPLAIN {acting._READY.text}")
        plan = await connection.execute(explain, {"kind": "process", "most": acting.BACKLOG_MAX})
        assert "ix_job_ready" in "\n".join(row[0] for row in plan)


async def test_jobs_made_later_are_none_of_its_business(database: Database, hand: Deckhand) -> None:
    await dead(database, hand)
    id_ = await begin(database, Verb.DISCARD)
    later = await dead(database, hand)
    await advance(database, 2)
    assert await counts(database, id_) == (ActionState.DONE, 1, 0)
    assert await job_of(database, later[0])


async def test_what_takes_too_long_is_given_up(database: Database) -> None:
    with pytest.raises(TooCostly):
        async with lives.bounded(database, 0.05) as session:
            await session.execute(text("SELECT pg_sleep(10)"))


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ([], True),
        (["done", "continued", "cancelled"], True),
        (["done", None, "done"], None),
        (["fault", "done", "done"], True),
        (["fault", "loss", None], False),
        (["fault", None, None], None),
        (["bad_input"], False),
        ([None], None),
    ],
)
def test_a_canary_is_judged(outcomes: list[str | None], verdict: bool | None) -> None:
    assert acting.judged(outcomes) is verdict
