"""The life of a recording: claims, commits, failures, deletion; each change once, whoever else is at it."""

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import text

from models import deletion, ledger, lifecycle, payload, processing, queries, sweep
from models.db import Database
from models.ledger import ClaimLost
from models.lifecycle import NotFailed, PayloadExpired, Work
from models.object import ObjectKind
from models.recording import FailureCode, Status
from models.retry import Again, Dead
from tests.factories import Deckhand, accepted, job_of, recording
from tests.models.steps import (
    AWAY,
    BAD,
    FAULT,
    LOSS,
    STOPPED,
    claim,
    claimed,
    make_due,
    objects,
    processed,
    settle,
    status,
)


async def test_the_first_claim_begins_processing(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    work = await claimed(database, id_)
    assert await status(database, id_) is Status.PROCESSING
    assert work.claim.attempts == 1
    assert set((await objects(database)).values()) == {"pending"}


async def test_of_many_claims_of_one_job_one_wins(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    works = await asyncio.gather(*(claim(database, id_) for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(work, Work) for work in works) == 1


async def test_a_commit_makes_it_ready_and_drops_the_payload(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    work = await claimed(database, id_)
    assert await processing.commit_processed(database, work.claim, processed(work)) is Status.READY
    found = await recording(database, id_)
    assert found
    assert (found.event_count, found.duration_ms, found.playable) == (3, 1500, True)
    assert found.ended_at
    assert (found.ended_at - found.started_at).total_seconds() == 1.5
    assert await payload.batches(database, id_) == []
    assert await job_of(database, id_) is None
    assert set((await objects(database)).values()) == {"live"}
    playable = await queries.playable(database, found.tenant_id, id_)
    assert playable
    assert playable.tape_index


async def test_a_second_commit_of_a_claim_changes_nothing(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    work = await claimed(database, id_)
    await processing.commit_processed(database, work.claim, processed(work))
    before = await recording(database, id_)
    with pytest.raises(ClaimLost):
        await processing.commit_processed(database, work.claim, processed(work, event_count=99))
    assert await recording(database, id_) == before


async def test_two_finishing_claims_of_one_job_commit_once(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    old = await claimed(database, id_, lease_s=0)
    assert isinstance(await settle(database, old, LOSS, expired_only=True), Again)
    await make_due(database)
    new = await claimed(database, id_)
    results = await asyncio.gather(
        processing.commit_processed(database, old.claim, processed(old)),
        processing.commit_processed(database, new.claim, processed(new)),
        return_exceptions=True,
    )
    assert isinstance(results[0], ClaimLost)
    assert results[1] is Status.READY
    found = await recording(database, id_)
    assert found
    assert found.tape_name == new.objects[ObjectKind.TAPE]


async def test_bad_input_fails_the_recording_and_keeps_its_payload(
    database: Database, hand: Deckhand
) -> None:
    id_ = await accepted(database, hand)
    assert await settle(database, await claimed(database, id_), BAD) == Dead()
    found = await recording(database, id_)
    assert found
    assert (found.status, found.failure_code) == (Status.FAILED, FailureCode.NO_VALID_EVENTS)
    assert found.failure_at
    assert await payload.batches(database, id_) == [0]


async def test_faults_use_up_the_attempts(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    assert isinstance(await settle(database, await claimed(database, id_), FAULT), Again)
    await make_due(database)
    assert await settle(database, await claimed(database, id_), FAULT) == Dead()
    assert await status(database, id_) is Status.FAILED


async def test_an_outage_costs_no_attempt(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    for _ in range(5):
        work = await claimed(database, id_)
        assert work.claim.attempts == 1
        assert isinstance(await settle(database, work, AWAY), Again)
        await make_due(database)
    assert await status(database, id_) is Status.PROCESSING


async def test_a_stop_neither_begins_nor_ends_an_outage(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    assert await settle(database, await claimed(database, id_), STOPPED) == Again(0)
    job = await job_of(database, id_)
    assert job
    assert (job.attempts, job.outages, job.outage_since) == (0, 0, None)
    await settle(database, await claimed(database, id_), AWAY)
    away = await job_of(database, id_)
    await make_due(database)
    await settle(database, await claimed(database, id_), STOPPED)
    job = await job_of(database, id_)
    assert job
    assert away
    assert (job.outages, job.outage_since) == (1, away.outage_since)


async def test_only_an_expired_lease_is_a_loss(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    work = await claimed(database, id_)
    assert await settle(database, work, LOSS, expired_only=True) is None
    async with database.transaction() as session:
        await session.execute(text("UPDATE job SET lease_until = now() - interval '1 second'"))
        assert await ledger.expired(session, limit=10) == [(id_, work.claim.id)]
    assert isinstance(await settle(database, work, LOSS, expired_only=True), Again)
    job = await job_of(database, id_)
    assert job
    assert (job.attempts, job.losses) == (0, 1)


async def test_losses_end_in_worker_lost(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    await settle(database, await claimed(database, id_, lease_s=0), LOSS, expired_only=True)
    await make_due(database)
    assert await settle(database, await claimed(database, id_, lease_s=0), LOSS, expired_only=True) == Dead()
    found = await recording(database, id_)
    assert found
    assert found.failure_code is FailureCode.WORKER_LOST


async def test_renewal_extends_the_lease_and_tells_which_claims_hold(
    database: Database, hand: Deckhand
) -> None:
    id_ = await accepted(database, hand)
    work = await claimed(database, id_, lease_s=1)
    async with database.autocommit() as connection:
        held = await ledger.renew(connection, [work.claim.id, uuid4()], lease_s=600, put_deadline_s=60)
        left = await connection.execute(text("SELECT extract(epoch FROM lease_until - now()) FROM job"))
        kept = await connection.execute(
            text("SELECT min(extract(epoch FROM expires_at - now())) FROM object")
        )
    assert held == {work.claim.id}
    assert float(left.scalar_one()) > 500
    assert float(kept.scalar_one()) > 600


async def test_a_retry_puts_a_failed_recording_back_to_work(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    with pytest.raises(NotFailed):
        await lifecycle.retry(database, hand.tenant_id, id_, video_wait_s=60)
    await settle(database, await claimed(database, id_), BAD)
    assert await lifecycle.retry(database, hand.tenant_id, id_, video_wait_s=60)
    found = await recording(database, id_)
    assert found
    assert (found.status, found.failure_code) == (Status.PROCESSING, None)
    work = await claimed(database, id_)
    assert work.claim.attempts == 1
    assert await processing.commit_processed(database, work.claim, processed(work)) is Status.READY


async def test_a_retry_without_a_payload_says_so(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    await settle(database, await claimed(database, id_), BAD)
    assert await sweep.drop_failed_payloads(database, days=0, limit=10) == 1
    with pytest.raises(PayloadExpired):
        await lifecycle.retry(database, hand.tenant_id, id_, video_wait_s=60)


async def test_a_stranger_can_neither_retry_nor_delete(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    assert not await lifecycle.retry(database, uuid4(), id_, video_wait_s=60)
    assert not await deletion.delete_recording(database, uuid4(), id_)
    assert await queries.recording(database, uuid4(), id_) is None


async def test_a_deletion_during_process_wins(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    work = await claimed(database, id_)
    assert await deletion.delete_recording(database, hand.tenant_id, id_)
    assert not await deletion.delete_recording(database, hand.tenant_id, id_)
    with pytest.raises(ClaimLost):
        await processing.commit_processed(database, work.claim, processed(work))
    assert await settle(database, work, FAULT) is None
    assert await queries.recording(database, hand.tenant_id, id_) is None
    assert await payload.batches(database, id_) == []


async def test_a_purge_comes_back_until_no_put_can_be_under_way(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    await claimed(database, id_, lease_s=60, put_deadline_s=60)
    await deletion.delete_recording(database, hand.tenant_id, id_)
    purge = await claimed(database, id_)
    assert await sweep.take_expired_objects(database, limit=10) == []
    assert await deletion.commit_purged(database, purge.claim) > 100
    async with database.transaction() as session:
        await session.execute(text("UPDATE object SET expires_at = now() - interval '1 second'"))
    await make_due(database)
    purge = await claimed(database, id_)
    names = await sweep.take_expired_objects(database, limit=10, recording_id=id_)
    assert len(names) == 2
    await sweep.forget_objects(database, names)
    assert await deletion.commit_purged(database, purge.claim) == 0
    assert await recording(database, id_) is None
    assert await objects(database) == {}
    async with database.autocommit() as connection:
        tally = (await connection.execute(text("SELECT status, purged FROM tally"))).one()
    assert tuple(tally) == ("processing", 1)


async def test_a_swept_object_can_not_become_live(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    work = await claimed(database, id_, lease_s=-100, put_deadline_s=0)
    assert len(await sweep.take_expired_objects(database, limit=10)) == 2
    with pytest.raises(ClaimLost):
        await processing.commit_processed(database, work.claim, processed(work))
    assert await status(database, id_) is Status.PROCESSING


async def test_a_live_object_is_never_swept(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    work = await claimed(database, id_, lease_s=60, put_deadline_s=-1000)
    await processing.commit_processed(database, work.claim, processed(work))
    assert await sweep.take_expired_objects(database, limit=10) == []
