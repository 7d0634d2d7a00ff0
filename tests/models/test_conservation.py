"""accepted = ready + failed + in progress + deleted, in every hour; and what is told when it is not so."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from models import conservation, deletion, ledger, lifecycle
from models.accept import Idempotency, SessionIsOpen
from models.conservation import COUNTS, DAY, HOUR, BrokenHour, Sums
from models.db import Database
from models.job import JobKind
from models.recording import Source
from tests.factories import Deckhand, accepted
from tests.models.sessions import opened
from tests.models.steps import BAD, POLICY, claimed, make_due, process

AGO = 5 * HOUR


async def purge(db: Database, id_: UUID) -> None:
    await make_due(db)
    async with db.transaction() as session:
        await session.execute(text("DELETE FROM object"))
    work = await claimed(db, id_, JobKind.PURGE)
    assert await deletion.commit_purged(db, work.claim) == 0


async def fail(db: Database, id_: UUID) -> None:
    work = await claimed(db, id_, JobKind.PROCESS)
    await lifecycle.settle(db, id_, work.claim.id, BAD, POLICY)


async def execute(db: Database, *statements: str) -> None:
    async with db.transaction() as session:
        for statement in statements:
            await session.execute(text(statement))


async def make_older(db: Database) -> None:
    """All that is there was accepted some hours ago."""
    ago = f"interval '{AGO.total_seconds()} seconds'"
    shifted = (
        ("recording", "created_at"),
        ("job", "created_at"),
        ("accepted_tally", "hour"),
        ("tally", "hour"),
    )
    # By way of another age: hours are keys, and none may be taken where another one has yet to go on.
    steps = (f"({ago} - interval '1000 years')", "interval '1000 years'")
    for step in steps:
        await execute(db, *(f"UPDATE {table} SET {column} = {column} - {step}" for table, column in shifted))


async def sums(db: Database) -> tuple[int, ...]:
    """Accepted, ready, failed, in progress, deleted."""
    hours = (await conservation.conservation(db, hours=24, days=1)).hours
    assert [one.missing for one in hours] == [0] * len(hours)
    return total(hours)


def total(hours: Sequence[Sums]) -> tuple[int, ...]:
    return tuple(sum(getattr(one, name) for one in hours) for name in COUNTS)


async def check(db: Database) -> Sequence[BrokenHour]:
    until = datetime.now(UTC) + HOUR
    return await conservation.check(db, until - timedelta(days=2), until, limit_s=10)


async def test_every_recording_is_in_one_place_from_its_201_to_its_purge(
    database: Database, hand: Deckhand
) -> None:
    ready, failed, deleted, waiting = [await accepted(database, hand) for _ in range(4)]
    replay = await accepted(database, hand, source=Source.REPLAY)
    live = await opened(database, hand)
    chunked = await opened(database, hand, source=Source.UPLOAD)
    assert await sums(database) == (7, 0, 0, 7, 0)
    await process(database, ready)
    await fail(database, failed)
    await deletion.delete_recording(database, hand.tenant_id, deleted)
    assert await sums(database) == (7, 1, 1, 4, 1)
    await purge(database, deleted)
    assert await sums(database) == (7, 1, 1, 4, 1)
    for id_ in (ready, failed, waiting, replay, live, chunked):
        await deletion.delete_recording(database, hand.tenant_id, id_)
        await purge(database, id_)
    async with database.transaction() as session:
        assert await ledger.prune(session, older_s=-60, limit=1000)
    assert await sums(database) == (7, 0, 0, 0, 7)
    assert await check(database) == []


async def test_what_is_accepted_once_counts_once(database: Database, hand: Deckhand) -> None:
    same = Idempotency("a key", b"the hash of a body")
    await asyncio.gather(*(accepted(database, hand, idempotency=same) for _ in range(8)))
    await opened(database, hand)
    with pytest.raises(SessionIsOpen):
        await opened(database, hand)
    assert await sums(database) == (2, 0, 0, 2, 0)


async def test_many_at_once_all_count(database_url: str, hand: Deckhand) -> None:
    db = Database(database_url, pool_size=10)
    await asyncio.gather(*(accepted(db, hand) for _ in range(60)))
    assert await sums(db) == (60, 0, 0, 60, 0)
    await db.close()


async def test_hours_that_are_over_are_gathered_and_stay_right(database_url: str, hand: Deckhand) -> None:
    db = Database(database_url, pool_size=10)
    await asyncio.gather(*(accepted(db, hand) for _ in range(20)))
    assert await conservation.gather(db, limit=100) == 0  # its hour goes on
    await make_older(db)
    gathered = await asyncio.gather(*(conservation.gather(db, limit=3) for _ in range(10)))
    assert sum(gathered) > 0
    while await conservation.gather(db, limit=3):
        pass
    await accepted(db, hand)
    assert await sums(db) == (21, 0, 0, 21, 0)
    async with db.autocommit() as connection:
        old = "SELECT shard FROM accepted_tally WHERE hour < now() - interval '2 hours'"
        assert set((await connection.execute(text(old))).scalars()) == {0}
    await db.close()


async def test_a_recording_that_vanished_is_named(database: Database, hand: Deckhand) -> None:
    lost, kept = await accepted(database, hand), await accepted(database, hand)
    await accepted(database, hand)
    await process(database, lost)
    await deletion.delete_recording(database, hand.tenant_id, kept)
    await purge(database, kept)
    (found,) = (await conservation.conservation(database, hours=2, days=1)).hours
    await execute(
        database,
        *(f"DELETE FROM {table} WHERE recording_id = '{lost}'" for table in ("payload", "tape", "batch")),
    )
    await execute(database, f"DELETE FROM recording WHERE id = '{lost}'")
    (broken,) = await check(database)
    assert (broken.hour, broken.missing, broken.recordings) == (found.since, 1, [lost])
    assert await check(database) == []  # it is known
    assert [one.recordings for one in await conservation.broken_hours(database)] == [[lost]]


async def test_a_recording_that_was_never_accepted_is_named(database: Database, hand: Deckhand) -> None:
    known, strange = await accepted(database, hand), uuid4()
    await execute(
        database,
        f"""INSERT INTO recording (id, tenant_id, project_id, user_id, source, status, started_at, has_video, has_audio,
                                   navigations, warnings, masked)
            SELECT '{strange}', tenant_id, project_id, user_id, source, status, started_at, has_video, has_audio,
                   navigations, warnings, masked
            FROM recording WHERE id = '{known}'""",
    )
    (broken,) = await check(database)
    assert (broken.missing, broken.recordings) == (-1, [strange])
    await execute(database, f"DELETE FROM recording WHERE id = '{strange}'")
    assert await check(database) == []
    assert await conservation.broken_hours(database) == []  # the hour adds up again


async def test_days_are_the_sums_of_their_hours(database: Database, hand: Deckhand) -> None:
    for _ in range(4):
        await process(database, await accepted(database, hand))
        await fail(database, await accepted(database, hand))
        await make_older(database)  # by five hours each time
    await execute(
        database,
        "INSERT INTO accepted_tally SELECT hour - interval '30 days', tenant_id, 0, 2 FROM accepted_tally",
    )
    found = await conservation.conservation(database, hours=168, days=31)
    assert total(found.hours) == (8, 4, 4, 0, 0)
    assert total(found.days)[1:] == (4, 4, 0, 0)
    whole = [day for day in found.days if not day.missing]
    assert [day.since for day in whole] == sorted({day.since for day in whole}, reverse=True)
    for day in whole:
        of_it = [hour for hour in found.hours if day.since <= hour.since < day.since + DAY]
        assert total([day]) == total(of_it)
        assert (day.since.hour, day.since.tzinfo) == (0, UTC)
