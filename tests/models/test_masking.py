"""Masking after the fact: asked for, waited with, committed; each once, whoever else is at it."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from models import deletion, lifecycle, masking, payload, processing, queries
from models.db import Database
from models.job import JobKind, JobState
from models.ledger import ClaimLost
from models.masking import Progress
from models.object import ObjectKind
from models.recording import CHUNK_BYTES, Status
from models.retry import Dead
from replay.privacy import Rules
from tests.factories import Deckhand, accepted, job_of
from tests.models.steps import (
    BAD,
    FAULT,
    claimed,
    found,
    make_due,
    masked,
    objects,
    process,
    processed,
    settle,
)

SSN = Rules(keys=("ssn",))
IBAN = Rules(keys=("iban",))


async def ask(db: Database, hand: Deckhand, recording_id: UUID, rules: Rules = SSN) -> Status | None:
    return await masking.ask(db, hand.tenant_id, recording_id, rules)


async def ready(db: Database, hand: Deckhand) -> UUID:
    id_ = await accepted(db, hand)
    await process(db, id_)
    return id_


async def failed(db: Database, hand: Deckhand) -> UUID:
    id_ = await accepted(db, hand)
    assert await settle(db, await claimed(db, id_), BAD) == Dead()
    return id_


async def state(db: Database, recording_id: UUID, kind: JobKind = JobKind.MASK) -> JobState | None:
    job = await job_of(db, recording_id, kind)
    return job.state if job else None


async def progress(db: Database, hand: Deckhand, recording_id: UUID) -> Progress | None:
    found = await masking.progress(db, hand.tenant_id, recording_id)
    return found and found[1]


async def open_rules(db: Database) -> list[Any]:
    async with db.autocommit() as connection:
        return list((await connection.execute(text("SELECT rules FROM mask_request ORDER BY id"))).scalars())


async def test_a_commit_switches_to_the_masked_tape_and_keeps_the_rest(
    database: Database, hand: Deckhand
) -> None:
    id_ = await ready(database, hand)
    before = await found(database, id_)
    assert await ask(database, hand, id_) is Status.READY
    assert await progress(database, hand, id_) is Progress.PENDING
    work = await claimed(database, id_)
    assert (await found(database, id_)).status is Status.READY
    made = await masked(database, hand, work)
    assert made.kept.privacy.rules == SSN
    await masking.commit_masked(database, work.claim, made)

    after = await found(database, id_)
    assert (after.tape_name, after.sidecar_name) == tuple(work.objects.values())
    assert after.account == {**(before.account or {}), "stored_bytes": 11}
    assert (after.masked, after.navigations) == ({"key": 2}, made.navigations)
    changed = {"tape_name", "sidecar_name", "account", "masked", "navigations", "updated_at"}
    assert after.model_dump(exclude=changed) == before.model_dump(exclude=changed)
    assert after.updated_at > before.updated_at
    playable = await queries.playable(database, hand.tenant_id, id_)
    assert playable
    assert (playable.tape_name, playable.tape_index) == (after.tape_name, b"new index")
    states = await objects(database)
    assert [states[name or ""] for name in (before.tape_name, before.sidecar_name)] == ["dead", "dead"]
    assert [states[name] for name in work.objects.values()] == ["live", "live"]
    assert await progress(database, hand, id_) is Progress.DONE
    assert await state(database, id_) is None
    with pytest.raises(ClaimLost):
        await masking.commit_masked(database, work.claim, made)


async def test_counts_add_up(database: Database, hand: Deckhand) -> None:
    id_ = await ready(database, hand)
    for _ in range(2):
        await ask(database, hand, id_)
        work = await claimed(database, id_)
        await masking.commit_masked(database, work.claim, await masked(database, hand, work))
    assert (await found(database, id_)).masked == {"key": 4}


async def test_where_nothing_was_masked_nothing_changes(database: Database, hand: Deckhand) -> None:
    id_ = await ready(database, hand)
    before = await found(database, id_)
    await ask(database, hand, id_)
    work = await claimed(database, id_)
    made = await masked(database, hand, work, counts={}, tape=None, navigations=before.navigations)
    await masking.commit_masked(database, work.claim, made)
    assert await found(database, id_) == before
    assert await progress(database, hand, id_) is Progress.DONE


async def test_two_requests_at_once_are_one_job_that_knows_both(database: Database, hand: Deckhand) -> None:
    id_ = await ready(database, hand)
    await asyncio.gather(*(ask(database, hand, id_, rules) for rules in (SSN, IBAN)))
    assert await state(database, id_) is JobState.DUE  # there is only one
    kept = await masking.kept(database, hand.tenant_id, id_)
    assert kept
    assert sorted(kept.privacy.rules.keys) == ["iban", "ssn"]


async def test_what_is_asked_for_while_the_job_runs_makes_it_due_again(
    database: Database, hand: Deckhand
) -> None:
    id_ = await ready(database, hand)
    await ask(database, hand, id_)
    work = await claimed(database, id_)
    made = await masked(database, hand, work)
    await ask(database, hand, id_, IBAN)
    assert await state(database, id_) is JobState.RUNNING
    await masking.commit_masked(database, work.claim, made)
    assert await open_rules(database) == [{"keys": ["iban"]}]
    assert (await found(database, id_)).tape_name == work.objects[ObjectKind.TAPE]
    again = await claimed(database, id_)
    assert again.claim.attempts == 1
    await masking.commit_masked(database, again.claim, await masked(database, hand, again))
    assert (await open_rules(database), await state(database, id_)) == ([], None)
    assert (await found(database, id_)).tape_name == again.objects[ObjectKind.TAPE]


async def test_a_request_waits_for_process_which_adds_the_job(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    assert await ask(database, hand, id_) is Status.UPLOADING
    assert await state(database, id_) is None
    work = await claimed(database, id_)
    assert await ask(database, hand, id_, IBAN) is Status.PROCESSING
    assert await state(database, id_) is None
    await processing.commit_processed(database, work.claim, processed(work))
    assert await state(database, id_) is JobState.DUE
    assert len(await open_rules(database)) == 2


async def test_a_request_for_a_recording_that_fails_then_is_about_its_payload(
    database: Database, hand: Deckhand
) -> None:
    id_ = await accepted(database, hand)
    await ask(database, hand, id_)
    await settle(database, await claimed(database, id_, JobKind.PROCESS), BAD)
    work = await claimed(database, id_, JobKind.MASK)
    body = bytes(range(256)) * (CHUNK_BYTES // 256) + b"the rest"
    made = await masked(database, hand, work, payload={0: body})
    await masking.commit_masked(database, work.claim, made)
    assert [chunk async for chunk in payload.chunks(database, id_, 0)] == [
        body[:CHUNK_BYTES],
        body[CHUNK_BYTES:],
    ]
    assert (await found(database, id_)).status is Status.FAILED
    assert set((await objects(database)).values()) == {"pending"}  # nobody put them: they are swept

    await lifecycle.retry(database, hand.tenant_id, id_, video_wait_s=60)
    work = await claimed(database, id_, JobKind.PROCESS)
    await processing.commit_processed(database, work.claim, processed(work, masked={"card_number": 1}))
    assert (await found(database, id_)).masked == {"key": 2, "card_number": 1}


async def test_a_retry_meanwhile_keeps_its_payload_and_the_request(
    database: Database, hand: Deckhand
) -> None:
    id_ = await failed(database, hand)
    await ask(database, hand, id_)
    work = await claimed(database, id_, JobKind.MASK)
    made = await masked(database, hand, work)
    await lifecycle.retry(database, hand.tenant_id, id_, video_wait_s=60)
    at_work = await claimed(database, id_, JobKind.PROCESS)
    before = [chunk async for chunk in payload.chunks(database, id_, 0)]
    await masking.commit_masked(database, work.claim, made)
    assert [chunk async for chunk in payload.chunks(database, id_, 0)] == before
    assert await state(database, id_) is None
    await processing.commit_processed(database, at_work.claim, processed(at_work))
    assert await state(database, id_) is JobState.DUE
    assert await progress(database, hand, id_) is Progress.PENDING


async def test_a_tape_that_came_meanwhile_is_masked_next(database: Database, hand: Deckhand) -> None:
    id_ = await failed(database, hand)
    await ask(database, hand, id_)
    work = await claimed(database, id_, JobKind.MASK)
    made = await masked(database, hand, work)
    await lifecycle.retry(database, hand.tenant_id, id_, video_wait_s=60)
    await process(database, id_)
    await masking.commit_masked(database, work.claim, made)
    assert await payload.batches(database, id_) == []
    assert await state(database, id_) is JobState.DUE
    assert len(await open_rules(database)) == 1


async def test_a_dead_job_leaves_the_recording_as_it_is_and_asking_again_revives_it(
    database: Database, hand: Deckhand
) -> None:
    id_ = await ready(database, hand)
    await ask(database, hand, id_)
    await settle(database, await claimed(database, id_), FAULT)
    await make_due(database)
    assert await settle(database, await claimed(database, id_), FAULT) == Dead()
    recording = await found(database, id_)
    assert (recording.status, recording.failure_code) == (Status.READY, None)
    assert await progress(database, hand, id_) is Progress.FAILED
    await ask(database, hand, id_, IBAN)
    assert await progress(database, hand, id_) is Progress.PENDING
    work = await claimed(database, id_)
    assert work.claim.attempts == 1
    made = await masked(database, hand, work)
    assert made.kept.privacy.rules.keys == ("ssn", "iban")


async def test_a_dead_job_does_not_fail_a_recording_that_is_still_at_work(
    database: Database, hand: Deckhand
) -> None:
    id_ = await accepted(database, hand, has_video=True)
    await process(database, id_)
    await ask(database, hand, id_)
    assert await settle(database, await claimed(database, id_, JobKind.MASK), BAD) == Dead()
    assert (await found(database, id_)).status is Status.UPLOADING


async def test_a_deletion_ends_the_job_and_forgets_what_was_asked_for(
    database: Database, hand: Deckhand
) -> None:
    id_ = await ready(database, hand)
    await ask(database, hand, id_)
    work = await claimed(database, id_)
    made = await masked(database, hand, work)
    await deletion.delete_recording(database, hand.tenant_id, id_)
    with pytest.raises(ClaimLost):
        await masking.commit_masked(database, work.claim, made)
    assert await open_rules(database) == []
    assert await ask(database, hand, id_) is None
    assert await progress(database, hand, id_) is None


async def test_a_stranger_can_ask_for_nothing(database: Database, hand: Deckhand) -> None:
    id_ = await ready(database, hand)
    assert await masking.ask(database, uuid4(), id_, SSN) is None
    assert await masking.progress(database, uuid4(), id_) is None
    assert await masking.kept(database, uuid4(), id_) is None
    assert await open_rules(database) == []
