"""Open recordings: whatever comes at the same moment, a batch is in one of them, once, and every one is closed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import text

from models import deletion, lifecycle, live, payload, processing
from models.accept import SessionIsOpen
from models.db import Database
from models.job import JobKind
from models.ledger import ClaimLost
from models.live import Conflict, NotOpen
from models.processes import Role, beat
from models.recording import Recording, Source, Status
from tests.factories import Deckhand, a_process, job_of
from tests.models.sessions import (
    LIVE,
    SESSION,
    append,
    batch,
    digests,
    keep,
    kept_of,
    opened,
    opened_in_chunks,
    rows,
    waiting_for_a_lock,
)
from tests.models.steps import claimed, found, make_due, process, processed, status

FULL = replace(LIVE, max_bytes=1000)


@asynccontextmanager
async def locked(db: Database, recording_id: UUID) -> AsyncIterator[Recording]:
    """Its row, as whoever changes it locks it; committed at the end of the block."""
    async with db.transaction() as session:
        recording = await lifecycle.lock(session, recording_id)
        assert recording
        yield recording


async def chain(db: Database) -> list[UUID]:
    """The recordings of the session, each of which continues the one before."""
    all_of_it = await rows(
        db, "SELECT id, continues FROM recording WHERE session_id = :session", session=SESSION
    )
    after = {continues: id_ for id_, continues in all_of_it}
    assert len(after) == len(all_of_it), "two continue the same"
    ids: list[UUID] = []
    while (following := after.get(ids[-1] if ids else None)) is not None:
        ids.append(following)
    assert len(ids) == len(all_of_it)
    return ids


async def test_a_batch_that_waits_for_the_close_is_not_in_what_was_closed(
    database: Database, hand: Deckhand
) -> None:
    id_ = await opened(database, hand)
    async with database.transaction() as session:
        recording = await lifecycle.lock(session, id_)
        assert recording
        late = asyncio.create_task(append(database, hand, batch(1)))
        await waiting_for_a_lock(database)
        await lifecycle.close(session, recording)
    assert await late is None
    assert await kept_of(database, id_) == digests([0])


async def test_the_close_waits_for_a_batch_that_is_being_appended(database: Database, hand: Deckhand) -> None:
    id_ = await opened(database, hand)
    async with database.transaction() as session:
        await session.execute(text("SELECT FROM recording WHERE id = :id FOR SHARE"), {"id": id_})
        closing = asyncio.create_task(live.finish(database, hand.tenant_id, id_))
        await waiting_for_a_lock(database)
        assert (await found(database, id_)).is_open
    assert await closing is Status.PROCESSING
    assert await append(database, hand, batch(1)) is None


@pytest.mark.parametrize("source", [Source.STREAM, Source.UPLOAD])
async def test_what_is_acknowledged_is_read_by_process(
    database: Database, hand: Deckhand, source: Source
) -> None:
    """Appends race against a close and, right behind it, `process`."""
    for turn in range(8):
        if source is Source.STREAM:
            id_ = await opened(database, hand, batch(100 * turn), session_id=f"{turn}")
        else:
            id_ = await opened_in_chunks(database, hand)

        async def one(number: int, id_: UUID = id_, session: str = f"{turn}") -> bool:
            if source is Source.STREAM:
                appended = await append(database, hand, batch(number), session=session)
                return appended is not None and appended.recording_id == id_
            try:
                await live.append_chunk(database, hand.tenant_id, id_, number, batch(number), LIVE)
            except NotOpen:
                return False
            return True

        async def end(id_: UUID = id_) -> list[int]:
            await live.finish(database, hand.tenant_id, id_)
            work = await claimed(database, id_, JobKind.PROCESS)
            read = list(await payload.load(database, id_))
            await processing.commit_processed(database, work.claim, processed(work, batches=read))
            return read

        numbers = range(100 * turn + 1, 100 * turn + 20)
        *kept, read = await asyncio.gather(*map(one, numbers), end())
        acknowledged = digests(n for n, yes in zip(numbers, kept, strict=True) if yes)
        noted = await rows(
            database, "SELECT number, digest FROM batch WHERE recording_id = :id AND number >= 0", id=id_
        )
        assert acknowledged <= {digest for _, digest in noted}
        assert {number for number, _ in noted} <= set(read)
        assert await payload.batches(database, id_) == []
        assert await status(database, id_) is Status.READY


async def test_two_first_batches_open_one_recording(database: Database, hand: Deckhand) -> None:
    ids = await asyncio.gather(*(keep(database, hand, batch(n % 6)) for n in range(12)))
    assert len(set(ids)) == 1
    assert await chain(database) == [ids[0]]
    assert await kept_of(database, ids[0] or UUID(int=0)) == digests(range(6))


async def test_a_batch_whose_answer_was_lost_is_not_in_what_continues_its_recording(
    database: Database, hand: Deckhand
) -> None:
    first = await keep(database, hand, batch(0))
    assert first
    await keep(database, hand, batch(1))
    await live.finish(database, hand.tenant_id, first)
    assert await keep(database, hand, batch(1)) is None
    second = await keep(database, hand, batch(2))
    assert second not in (None, first)
    again = await append(database, hand, batch(1))
    assert again
    assert (again.recording_id, again.again, again.is_full) == (first, True, False)
    assert await chain(database) == [first, second]
    assert await kept_of(database, second or first) == digests([2])


async def test_who_opens_a_session_that_came_and_went_meanwhile_looks_again(
    database: Database, hand: Deckhand
) -> None:
    """Between looking and opening, another request opened it with the very batch, or another, and it was closed."""
    first = await opened(database, hand, batch(1))
    await live.finish(database, hand.tenant_id, first)
    for overtaken in (batch(1), batch(2)):
        with pytest.raises(SessionIsOpen):
            await opened(database, hand, overtaken, continues=None)
    assert await chain(database) == [first]
    assert await opened(database, hand, batch(2), continues=first)


async def test_who_is_refused_gives_its_connection_back(database_url: str, hand: Deckhand) -> None:
    database = Database(database_url, pool_size=1)
    await opened(database, hand)
    (before,) = await rows(database, "SELECT pg_backend_pid()")
    with pytest.raises(SessionIsOpen):
        await opened(database, hand)
    assert await rows(database, "SELECT pg_backend_pid()") == [before]
    await database.close()


async def test_many_clients_and_small_limits(database: Database, hand: Deckhand) -> None:
    """Recordings are opened and closed all the time; each batch is in one of them, whoever sends it twice."""
    await asyncio.gather(*(keep(database, hand, batch(n % 40, size=300), FULL) for n in range(80)))
    ids = await chain(database)
    assert len(ids) > 2
    kept = [digest for id_ in ids for digest in await kept_of(database, id_)]
    assert len(kept) == 40
    assert set(kept) == digests(range(40))
    for id_ in ids:
        one = await found(database, id_)
        assert one.is_open or await job_of(database, id_, JobKind.PROCESS)


async def test_batches_that_come_at_the_same_moment_are_added_up(database: Database, hand: Deckhand) -> None:
    """None of them sees the others' sizes; who comes when they are there does."""
    id_ = await opened(database, hand, batch(0, size=10))
    async with database.transaction() as session:
        await session.execute(text("UPDATE batch SET total = 0"))
        await session.execute(
            text(
                """INSERT INTO batch (recording_id, number, digest, size, total)
                   SELECT :id, -n, int8send(n), 300, 300 FROM generate_series(2, 4) AS n"""
            ),
            {"id": id_},
        )
    appended = await append(database, hand, batch(1, size=100), FULL)
    assert appended
    assert appended.is_full


async def test_a_final_batch_again_closes_what_it_did_not_close_before(
    database: Database, hand: Deckhand
) -> None:
    """Its process was killed between the two: the client sends it again, or the recording becomes idle."""
    id_ = await opened(database, hand)
    await append(database, hand, batch(1))
    again = await append(database, hand, batch(1))
    assert again
    assert (again.recording_id, again.again) == (id_, True)
    ends = [live.finish(database, hand.tenant_id, id_) for _ in range(5)]
    assert await asyncio.gather(*ends) == [Status.PROCESSING] * 5
    assert await rows(database, "SELECT kind FROM job") == [("process",)]


async def test_a_batch_that_filled_it_again_is_full_again(database: Database, hand: Deckhand) -> None:
    await opened(database, hand, batch(0, size=900))
    for _ in range(2):
        appended = await append(database, hand, batch(1, size=100), FULL)
        assert appended
        assert appended.is_full


async def test_finish_while_the_job_is_at_it(database: Database, hand: Deckhand) -> None:
    id_ = await opened(database, hand)
    await make_due(database)
    work = await claimed(database, id_, JobKind.CLOSE)
    assert await live.finish(database, hand.tenant_id, id_) is Status.PROCESSING
    with pytest.raises(ClaimLost):
        await live.commit_closed(database, work.claim, LIVE)
    assert await process(database, id_) is Status.READY


async def test_the_job_while_finish_waits(database: Database, hand: Deckhand) -> None:
    id_ = await opened(database, hand)
    await make_due(database)
    work = await claimed(database, id_, JobKind.CLOSE)
    over = replace(LIVE, idle_s=0)
    closed = await asyncio.gather(
        live.commit_closed(database, work.claim, over),
        live.finish(database, hand.tenant_id, id_),
        return_exceptions=True,
    )
    assert isinstance(closed[0], ClaimLost) or closed[0] == 0
    assert closed[1] is Status.PROCESSING
    assert await rows(database, "SELECT kind FROM job") == [("process",)]


async def test_the_job_looks_again_when_it_may_be_time(database: Database, hand: Deckhand) -> None:
    id_ = await opened(database, hand)
    await make_due(database)
    work = await claimed(database, id_, JobKind.CLOSE)
    terms = replace(LIVE, idle_s=50, max_s=30)
    left = await live.commit_closed(database, work.claim, terms)
    assert 0 < left <= 30
    job = await job_of(database, id_, JobKind.CLOSE)
    assert job
    assert (job.attempts, job.claim_id) == (0, None)
    assert terms.first_look_s == 30


async def late(db: Database, id_: UUID, *, idle_s: float, by_s: float) -> float:
    """The job looks so late at what has been idle for so long. Returns what it answers."""
    async with db.transaction() as session:
        for statement in (
            "UPDATE batch SET received_at = clock_timestamp() - make_interval(secs => :idle_s)",
            "UPDATE job SET due_at = clock_timestamp() - make_interval(secs => :by_s)",
        ):
            await session.execute(text(statement), {"idle_s": idle_s, "by_s": by_s})
    return await live.commit_closed(db, (await claimed(db, id_, JobKind.CLOSE)).claim, LIVE)


async def test_an_outage_is_no_idleness(database: Database, hand: Deckhand) -> None:
    id_ = await opened(database, hand)
    assert 59 < await late(database, id_, idle_s=1000, by_s=940) <= LIVE.idle_s
    assert (await append(database, hand, batch(1))) is not None  # a client comes back
    assert 49 < await late(database, id_, idle_s=10, by_s=0) <= 50
    assert await late(database, id_, idle_s=61, by_s=1) == 0
    assert await status(database, id_) is Status.PROCESSING


async def test_who_does_not_come_back_after_an_outage_is_waited_for_once(
    database: Database, hand: Deckhand
) -> None:
    id_ = await opened(database, hand)
    assert await late(database, id_, idle_s=100, by_s=40) > 0
    assert await late(database, id_, idle_s=200, by_s=40) == 0
    assert await status(database, id_) is Status.PROCESSING


async def web_was(db: Database, *, seen_s: float, back_s: float | None = None) -> None:
    """Web was there last so many seconds ago, and came back from an absence so many seconds ago."""
    async with db.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO presence VALUES ('web', now() - make_interval(secs => :seen), now() - make_interval(secs => :back))"
                " ON CONFLICT (role) DO UPDATE SET seen_at = excluded.seen_at, back_at = excluded.back_at"
            ),
            {"seen": seen_s, "back": back_s},
        )


async def test_while_web_is_absent_nobody_is_idle_and_then_there_is_time_to_come_back(
    database: Database, hand: Deckhand
) -> None:
    id_ = await opened(database, hand)
    await web_was(database, seen_s=31)
    for idle_s in (100, 1000):
        assert 59 < await late(database, id_, idle_s=idle_s, by_s=0) <= LIVE.idle_s
    await web_was(database, seen_s=1, back_s=20)
    assert 39 < await late(database, id_, idle_s=1000, by_s=0) <= 40
    await web_was(database, seen_s=1, back_s=61)
    assert await late(database, id_, idle_s=1000, by_s=0) == 0


async def test_only_an_absence_of_web_is_noted(database: Database) -> None:
    async def back_at() -> object:
        async with database.autocommit() as connection:
            return (await connection.execute(text("SELECT back_at FROM presence"))).scalar_one()

    for name in ("first", "second"):
        await beat(database, a_process(Role.WEB, name=name))
        assert await back_at() is None
    await beat(database, a_process(Role.WORKER))
    await web_was(database, seen_s=31)
    await beat(database, a_process(Role.WEB, name="third"))
    came_back = await back_at()
    assert came_back
    await beat(database, a_process(Role.WEB, name="third"))
    assert await back_at() == came_back


async def test_web_that_is_absent_for_good_keeps_no_session_open_for_ever(
    database: Database, hand: Deckhand
) -> None:
    id_ = await opened(database, hand)
    await web_was(database, seen_s=86400)
    async with database.transaction() as session:
        await session.execute(text("UPDATE recording SET created_at = now() - interval '1 day'"))
    assert await late(database, id_, idle_s=100, by_s=0) == 0


async def test_an_outage_makes_no_session_older_than_it_may_be(database: Database, hand: Deckhand) -> None:
    id_ = await opened(database, hand)
    async with database.transaction() as session:
        await session.execute(text("UPDATE recording SET created_at = now() - interval '1 day'"))
    assert await late(database, id_, idle_s=100, by_s=40) == 0


async def test_a_chunk_comes_once_whoever_sends_it(database: Database, hand: Deckhand) -> None:
    id_ = await opened_in_chunks(database, hand)

    async def one(seq: int, number: int) -> bool | type[Exception]:
        try:
            appended = await live.append_chunk(database, hand.tenant_id, id_, seq, batch(number), LIVE)
        except (NotOpen, Conflict) as error:
            return type(error)
        assert appended
        return appended.again

    both = await asyncio.gather(*(one(0, number) for number in (1, 2)))
    assert sorted(map(str, both)) == sorted(map(str, [False, Conflict]))
    assert sorted(await asyncio.gather(*(one(1, 3) for _ in range(5)))) == [False] + [True] * 4
    await live.finish(database, hand.tenant_id, id_)
    assert await one(1, 3) is True
    assert await one(2, 4) is NotOpen
    assert await one(1, 4) is NotOpen


async def test_a_batch_during_a_deletion_opens_another(database: Database, hand: Deckhand) -> None:
    id_ = await opened(database, hand)
    async with database.transaction() as session:
        recording = await lifecycle.lock(session, id_)
        assert recording
        late = asyncio.create_task(keep(database, hand, batch(1)))
        await waiting_for_a_lock(database)
        await deletion.hide(session, recording)
    other = await late
    assert other not in (None, id_)
    assert (await found(database, other or id_)).continues is None
    assert await payload.batches(database, id_) == []
    assert [job.kind for job in [await job_of(database, id_)] if job] == [JobKind.PURGE]


async def test_a_row_that_is_locked_for_too_long_is_no_lost_batch(
    database: Database, database_url: str, hand: Deckhand
) -> None:
    id_ = await opened(database, hand)
    hurried = Database(database_url, limit_s=0.2)
    async with locked(database, id_):
        with pytest.raises(Exception, match="lock timeout"):
            await append(hurried, hand, batch(1))
    assert await kept_of(database, id_) == digests([0])
    await keep(hurried, hand, batch(1))
    assert await kept_of(database, id_) == digests([0, 1])
    await hurried.close()
