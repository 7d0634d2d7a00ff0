"""How fast queues go: every number is what the ledger and the diary say, whatever was forgotten or gathered since."""

import asyncio
from collections.abc import Sequence
from statistics import quantiles
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from models import attempt_tally, deletion, ledger, rates
from models.attempt import Outcome
from models.db import Database
from models.job import JobKind
from models.rates import MINUTE, MINUTES, QueueRates
from tests.factories import Deckhand, accepted
from tests.models.steps import AWAY, BAD, FAULT, STOPPED, claimed, process, settle


async def of(db: Database, kind: JobKind = JobKind.PROCESS) -> QueueRates:
    (found,) = [queue for queue in (await rates.rates(db)).queues if queue.kind is kind]
    return found


async def ended(db: Database, kind: JobKind = JobKind.PROCESS) -> dict[str, int]:
    """By outcome, in the last hour."""
    return {outcome.value: sum(counts) for outcome, counts in (await of(db, kind)).minutes.items()}


async def execute(db: Database, *statements: str) -> None:
    async with db.transaction() as session:
        for statement in statements:
            await session.execute(text(statement))


async def rows(db: Database, query: str) -> Sequence[Any]:
    async with db.autocommit() as connection:
        return (await connection.execute(text(query))).all()


async def purge(db: Database, hand: Deckhand, id_: UUID) -> None:
    await deletion.delete_recording(db, hand.tenant_id, id_)
    await execute(db, "DELETE FROM object")
    work = await claimed(db, id_, JobKind.PURGE)
    assert await deletion.commit_purged(db, work.claim) == 0


async def test_each_way_in_which_an_attempt_ends_counts_once(database: Database, hand: Deckhand) -> None:
    ids = [await accepted(database, hand) for _ in range(6)]
    for id_, failure in zip(ids, (BAD, FAULT, AWAY, STOPPED), strict=False):
        await settle(database, await claimed(database, id_), failure)
    await process(database, ids[4])
    work = await claimed(database, ids[5])
    async with database.transaction() as session:
        await ledger.continue_later(session, work.claim, delay_s=0)
    await claimed(database, ids[5])
    await deletion.delete_recording(database, hand.tenant_id, ids[5])
    await deletion.delete_recording(database, hand.tenant_id, ids[0])  # dead: no attempt is under way
    diary = await rows(database, "SELECT outcome, count(*) FROM attempt WHERE kind = 'process' GROUP BY 1")
    assert await ended(database) == {row.outcome: row.count for row in diary}
    assert await ended(database) == dict.fromkeys(
        ("bad_input", "fault", "away", "stopped", "done", "continued", "cancelled"), 1
    )
    window = (await of(database)).last_5_min
    assert (window.ended, window.done, window.failed, window.failed_share) == (7, 2, 2, 0.5)
    assert (await of(database, JobKind.MASK)).last_hour.failed_share is None


async def test_what_the_diary_forgets_stays_counted(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    await process(database, id_)
    await purge(database, hand, id_)
    assert await rows(database, "SELECT 1 FROM attempt") == []
    assert await ended(database) == {"done": 1}
    assert await ended(database, JobKind.PURGE) == {"done": 1}
    history = await rows(database, "SELECT kind FROM job_history WHERE state = 'done' ORDER BY kind")
    assert [row.kind for row in history] == ["process", "purge"]


async def test_minutes_are_those_in_which_attempts_ended(database: Database, hand: Deckhand) -> None:
    for minutes in (1, 54, 1, 3, 1, 0):  # 60, 59, 5, 4, 1 and 0 in the end
        await process(database, await accepted(database, hand))
        await execute(
            database,
            "UPDATE attempt_tally SET minute = minute + interval '100 days'",  # out of each other's way
            f"UPDATE attempt_tally SET minute = minute - interval '100 days {minutes} minutes'",
            f"UPDATE attempt SET ended_at = ended_at - interval '{minutes} minutes'",
        )
    found = await rates.rates(database)
    counts = [0] * MINUTES
    for row in await rows(
        database, "SELECT ended_at FROM attempt WHERE ended_at > now() - interval '2 hours'"
    ):
        if row.ended_at >= found.since:
            counts[(row.ended_at - found.since) // MINUTE] += 1
    (process_,) = [queue for queue in found.queues if queue.kind is JobKind.PROCESS]
    assert process_.minutes == {Outcome.DONE: counts}
    assert process_.last_hour.ended == sum(counts) >= 4
    assert process_.last_5_min.ended == sum(counts[-5:])
    assert 4 <= process_.last_5_min.minutes <= 5


async def test_percentiles_are_those_of_the_diary(database: Database, hand: Deckhand) -> None:
    for _ in range(20):
        await process(database, await accepted(database, hand))
    await execute(
        database,
        "UPDATE attempt SET due_at = started_at - random() * interval '9 s', ended_at = started_at + random() * interval '1 s'",
    )
    told = await rows(
        database,
        "SELECT extract(epoch FROM started_at - due_at)::float * 1000 AS waited, "
        "extract(epoch FROM ended_at - started_at)::float * 1000 AS ran FROM attempt",
    )
    window = (await of(database)).last_5_min
    for found, values in (
        (window.wait_ms, [one.waited for one in told]),
        (window.run_ms, [one.ran for one in told]),
    ):
        cuts = quantiles(values, n=20, method="inclusive")
        assert found
        assert (found.p50, found.p95) == (pytest.approx(cuts[9]), pytest.approx(cuts[18]))


async def test_a_job_waits_from_when_it_was_due(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    await execute(database, "UPDATE job SET due_at = now() - interval '7 seconds'")
    work = await claimed(database, id_)
    assert (await of(database)).last_hour.wait_ms is None  # its attempt goes on
    await settle(database, work, FAULT)
    (row,) = await rows(
        database, "SELECT extract(epoch FROM started_at - due_at)::float AS waited_s FROM attempt"
    )
    assert row.waited_s == pytest.approx(work.claim.waited_s, abs=1e-3)
    wait_ms = (await of(database)).last_hour.wait_ms
    assert wait_ms
    assert 7000 <= wait_ms.p50 < 17_000


async def test_past_a_bound_counts_stay_exact_and_percentiles_are_none(
    database: Database, hand: Deckhand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "LOOKED_AT_MAX", 1)
    for _ in range(2):
        await process(database, await accepted(database, hand))
    window = (await of(database)).last_5_min
    assert (window.ended, window.run_ms) == (2, None)


async def test_gathering_changes_no_number(database_url: str, hand: Deckhand) -> None:
    db = Database(database_url, pool_size=10)
    ids = [await accepted(db, hand) for _ in range(20)]
    await asyncio.gather(*(process(db, id_) for id_ in ids))
    assert await attempt_tally.gather(db, limit=100) == 0  # its minute goes on
    await execute(db, "UPDATE attempt_tally SET minute = minute - interval '2 minutes'")
    while await attempt_tally.gather(db, limit=3):
        pass
    await process(db, await accepted(db, hand))
    assert await ended(db) == {"done": 21}
    old = await rows(db, "SELECT shard FROM attempt_tally WHERE minute < now() - interval '2 minutes'")
    assert {row.shard for row in old} == {0}
    await db.close()


async def test_tallies_are_pruned_after_a_month(database: Database, hand: Deckhand) -> None:
    await process(database, await accepted(database, hand))
    await execute(
        database,
        "INSERT INTO attempt_tally SELECT minute - interval '32 days', kind, outcome, 0, 1 FROM attempt_tally",
    )
    await attempt_tally.prune(database)
    assert len(await rows(database, "SELECT 1 FROM attempt_tally")) == 1
