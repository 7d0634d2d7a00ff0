"""Erasures: what they find, whatever it is doing; each step again and at once with others; the certificate."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from models import administration, deletion, erasing, erasure, processing, sweep
from models.accept import Idempotency
from models.db import Database
from models.erasure import Erasure, Progress, Subject
from models.job import JobKind
from models.ledger import ClaimLost
from tests.api.tenants import new_tenant
from tests.factories import Deckhand, accepted, job_of, recording
from tests.models.steps import claimed, confirm, found, make_due, process, processed, verify

SESSION = "sess_8f3a2c1b"


async def of_session(db: Database, hand: Deckhand, **fields: Any) -> UUID:
    return await accepted(db, hand, **{"session_id": SESSION} | fields)


async def requested(db: Database, hand: Deckhand) -> Erasure:
    return await erasure.request(db, hand.tenant_id, Subject.SESSION, SESSION)


async def collect(db: Database, asked: Erasure, *, limit: int = 10) -> list[UUID]:
    collected: list[UUID] = []
    while ids := await erasing.uncollected(db, asked, limit=limit):
        for id_ in ids:
            await erasing.collect(db, asked.id, id_)
        collected += ids
    await erasing.end_collecting(db, asked.id)
    return collected


async def purge(db: Database, *ids: UUID) -> None:
    """As the job does, once nobody can put to storage any more."""
    async with db.transaction() as session:
        await session.execute(text("UPDATE object SET expires_at = now() - interval '1 second'"))
    for id_ in ids:
        names = await sweep.take_expired_objects(db, limit=10, recording_id=id_)
        await sweep.forget_objects(db, names)
        await make_due(db)
        work = await claimed(db, id_, JobKind.PURGE)
        assert await deletion.commit_purged(db, work.claim) == 0


async def certify(db: Database, asked: Erasure) -> bool:
    """As the dispatcher does, with a storage that has nothing."""
    purged = await erasing.note_purged(db, asked.id, limit=100)
    await erasing.verify(db, asked.id, [one.recording_id for one in purged])
    return await erasing.finish(db, asked.id)


async def progress(db: Database, hand: Deckhand, asked: Erasure) -> Progress:
    found = await erasure.progress(db, hand.tenant_id, asked.id)
    assert found
    return found


def tallies(of: Progress) -> tuple[int | None, int | None]:
    return of.erasure.purged_before, of.erasure.purged_after


async def count(db: Database, query: str) -> int:
    async with db.autocommit() as connection:
        return int((await connection.execute(text(f"SELECT count(*) FROM {query}"))).scalar_one())


async def test_everything_of_the_subject_goes_and_nothing_else(database: Database, hand: Deckhand) -> None:
    ids = [await of_session(database, hand) for _ in range(5)]
    other = await accepted(database, hand, session_id="another")
    asked = await requested(database, hand)
    assert await collect(database, asked, limit=2) == ids
    await purge(database, *ids)
    assert await certify(database, asked)
    assert (await progress(database, hand, asked))[1:] == (5, 5, 0)
    assert await recording(database, other)
    for table, column in erasing.TABLES.items():
        assert await count(database, f"{table} WHERE {column} <> '{other}'") == 0, table


@pytest.mark.parametrize("subject", Subject)
async def test_each_subject_is_found_in_its_tenant_only(
    database: Database, hand: Deckhand, subject: Subject
) -> None:
    mine = await accepted(database, hand, session_id="s", fingerprint="f")
    theirs = await accepted(database, await new_tenant(database), session_id="s", fingerprint="f")
    values = {
        Subject.SESSION: "s",
        Subject.FINGERPRINT: "f",
        Subject.USER: str(hand.api_key.user_id),
        Subject.PROJECT: str(hand.api_key.project_id),
        Subject.TENANT: str(hand.tenant_id),
    }
    seen = await erasure.preview(database, hand.tenant_id, subject, values[subject])
    assert seen.recordings == 1
    assert seen.bytes > 0
    asked = await erasure.request(database, hand.tenant_id, subject, values[subject])
    assert await collect(database, asked) == [mine]
    assert (await found(database, theirs)).deleted_at is None


async def test_whatever_it_is_doing_it_is_erased(database: Database, hand: Deckhand) -> None:
    waiting = await of_session(database, hand)
    at_work = await of_session(database, hand)
    work = await claimed(database, at_work)
    ready = await of_session(database, hand)
    await process(database, ready)
    awaited = await of_session(database, hand, has_video=True)
    verifying = await of_session(database, hand, has_video=True)
    await confirm(database, verifying)
    await claimed(database, verifying, JobKind.VERIFY_VIDEO)
    verified = await of_session(database, hand, has_video=True)
    await confirm(database, verified)
    await verify(database, verified)
    ids = [waiting, at_work, ready, awaited, verifying, verified]
    asked = await requested(database, hand)
    assert await collect(database, asked) == ids
    with pytest.raises(ClaimLost):
        await processing.commit_processed(database, work.claim, processed(work))
    listed = await erasure.erased_recordings(database, asked.id, on_hold=False, limit=10)
    assert [len(one.objects) for one in listed] == [0, 2, 2, 1, 2, 2]
    assert not await certify(database, asked)
    await purge(database, *ids)
    assert await certify(database, asked)
    listed = await erasure.erased_recordings(database, asked.id, on_hold=False, limit=10)
    for one in listed:
        assert one.deleted_at
        assert one.purged_at
        assert one.verified_at
        assert one.accepted_at < one.deleted_at < one.purged_at < one.verified_at


async def test_it_is_not_finished_before_the_last_is_purged(database: Database, hand: Deckhand) -> None:
    first, second = [await of_session(database, hand) for _ in range(2)]
    asked = await requested(database, hand)
    assert not await erasing.finish(database, asked.id)
    await collect(database, asked)
    await purge(database, first)
    assert not await certify(database, asked)
    assert (await progress(database, hand, asked))[1:] == (2, 1, 0)
    await purge(database, second)
    assert await certify(database, asked)
    assert not await certify(database, asked)


async def test_what_comes_after_the_request_is_not_covered(database: Database, hand: Deckhand) -> None:
    asked = await requested(database, hand)
    later = await of_session(database, hand)
    assert await collect(database, asked) == []
    assert await certify(database, asked)
    assert (await found(database, later)).deleted_at is None


async def test_what_is_on_hold_is_kept_and_told(database: Database, hand: Deckhand) -> None:
    held, gone = [await of_session(database, hand) for _ in range(2)]
    await deletion.hold(database, hand.tenant_id, held)
    seen = await erasure.preview(database, hand.tenant_id, Subject.SESSION, SESSION)
    assert (seen.recordings, seen.on_hold) == (1, 1)
    asked = await requested(database, hand)
    await collect(database, asked)
    await deletion.release(database, hand.tenant_id, held)  # too late: another erasure will find it
    await erasing.collect(database, asked.id, held)  # as a slower dispatcher does
    await purge(database, gone)
    assert await certify(database, asked)
    assert (await progress(database, hand, asked))[1:] == (2, 1, 1)
    kept = await erasure.erased_recordings(database, asked.id, on_hold=True, limit=10)
    assert [one.recording_id for one in kept] == [held]
    assert (await found(database, held)).deleted_at is None
    assert await collect(database, await requested(database, hand)) == [held]


async def test_a_recording_that_was_deleted_before_is_seen_through_to_its_end(
    database: Database, hand: Deckhand
) -> None:
    id_ = await of_session(database, hand)
    await process(database, id_)
    await deletion.delete_recording(database, hand.tenant_id, id_)
    asked = await requested(database, hand)
    assert await collect(database, asked) == [id_]
    assert not await certify(database, asked)
    await purge(database, id_)
    assert await certify(database, asked)


async def test_an_idempotency_key_leads_to_nothing_any_more(database: Database, hand: Deckhand) -> None:
    key = Idempotency("k1", b"hash")
    id_ = await of_session(database, hand, idempotency=key)
    await collect(database, await requested(database, hand))
    assert await count(database, "idempotency_key") == 0
    assert await of_session(database, hand, idempotency=key) != id_


async def test_two_erasures_of_the_same_at_once_both_end(database: Database, hand: Deckhand) -> None:
    ids = [await of_session(database, hand) for _ in range(6)]
    both = [await requested(database, hand) for _ in range(2)]
    twice = [*both, *both]  # and two dispatchers
    await asyncio.gather(*(collect(database, asked) for asked in twice))
    await purge(database, *ids)
    done = await asyncio.gather(*(certify(database, asked) for asked in twice))
    if sum(done) < 2:  # one took the rows that the other was about to look at
        done += [await certify(database, asked) for asked in both]
    assert sum(done) == 2
    for asked in both:
        at_the_end = await progress(database, hand, asked)
        assert at_the_end[1:] == (6, 6, 0)
        assert tallies(at_the_end) == (0, 6)
    assert await count(database, "tally") == 1


async def test_the_tallies_before_and_after_are_those_of_the_hours_it_touched(
    database: Database, hand: Deckhand
) -> None:
    earlier = await accepted(database, hand)
    await deletion.delete_recording(database, hand.tenant_id, earlier)
    await purge(database, earlier)
    another_hour = await accepted(database, hand)
    async with database.transaction() as session:
        await session.execute(text("UPDATE recording SET created_at = created_at - interval '3 hours'"))
    await deletion.delete_recording(database, hand.tenant_id, another_hour)
    await purge(database, another_hour)

    ids = [await of_session(database, hand) for _ in range(3)]
    asked = await requested(database, hand)
    for id_ in ids:  # the first is gone before the others are found
        await erasing.collect(database, asked.id, id_)
        await purge(database, id_)
    await erasing.end_collecting(database, asked.id)
    assert await certify(database, asked)
    assert tallies(await progress(database, hand, asked)) == (1, 4)


async def test_a_tally_that_lacks_a_recording_is_told(database: Database, hand: Deckhand) -> None:
    ids = [await of_session(database, hand) for _ in range(3)]
    asked = await requested(database, hand)
    await collect(database, asked)
    await purge(database, *ids)
    async with database.transaction() as session:
        await session.execute(text("UPDATE tally SET purged = purged - 1"))
    assert await certify(database, asked)
    assert tallies(await progress(database, hand, asked)) == (0, 2)


async def test_a_row_that_is_left_anywhere_keeps_it_from_being_verified(
    database: Database, hand: Deckhand
) -> None:
    id_ = await of_session(database, hand)
    asked = await requested(database, hand)
    await collect(database, asked)
    await purge(database, id_)
    async with database.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO idempotency_key (project_id, key, body_hash, recording_id) "
                "VALUES (gen_random_uuid(), 'k', '', :id)"
            ),
            {"id": id_},
        )
    assert not await certify(database, asked)
    async with database.transaction() as session:
        await session.execute(text("DELETE FROM idempotency_key"))
    assert await certify(database, asked)


async def test_nobody_sees_another_tenant_s_erasure(database: Database, hand: Deckhand) -> None:
    asked = await requested(database, hand)
    assert await erasure.progress(database, uuid4(), asked.id) is None


async def test_a_project_s_recordings_are_collected_in_batches(database: Database, hand: Deckhand) -> None:
    ids = [await accepted(database, hand) for _ in range(7)]
    other = await administration.create_project(database, hand.tenant_id, "Other")
    asked = await erasure.request(database, hand.tenant_id, Subject.PROJECT, str(hand.api_key.project_id))
    assert len(await erasing.uncollected(database, asked, limit=3)) == 3
    assert await collect(database, asked, limit=3) == ids
    assert (await erasure.preview(database, hand.tenant_id, Subject.PROJECT, str(other.id))).recordings == 0
    for id_ in ids:
        job = await job_of(database, id_)
        assert job
        assert job.kind is JobKind.PURGE
