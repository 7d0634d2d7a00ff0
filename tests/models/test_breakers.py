"""Breakers: a suspicion alone holds nothing back, a probe decides, and nothing is held back for ever."""

from sqlalchemy import text

from models import breakers
from models.breakers import BreakerState, Dependency
from models.db import Database
from models.job import JobState
from models.retry import Again, Dead
from tests.factories import Deckhand, accepted, job_of
from tests.models.steps import AWAY, FAULT, claim, claimed, make_due, settle

STORAGE = Dependency.STORAGE


async def state(db: Database) -> BreakerState:
    async with db.transaction() as session:
        (storage,) = await breakers.all_of(session)
    return storage.state


async def probed(db: Database, error: str | None, *, longest_s: float = 3600) -> BreakerState | None:
    change = await breakers.probed(db, STORAGE, error, longest_s=longest_s)
    return change.state if change else None


async def execute(db: Database, statement: str) -> None:
    async with db.transaction() as session:
        await session.execute(text(statement))


async def test_what_was_never_suspected_is_closed_and_not_probed(database: Database) -> None:
    assert await state(database) is BreakerState.CLOSED
    assert await breakers.take_probes(database) == []


async def test_a_suspicion_is_probed_once_by_whoever_comes_first(database: Database) -> None:
    await breakers.suspect(database, STORAGE, "refused")
    await breakers.suspect(database, STORAGE, "refused again")
    assert await state(database) is BreakerState.SUSPECTED
    assert await breakers.take_probes(database) == [STORAGE]
    assert await breakers.take_probes(database) == []
    assert await probed(database, None) is None
    assert await state(database) is BreakerState.CLOSED


async def test_it_opens_once_is_probed_ever_more_rarely_and_closes_once(database: Database) -> None:
    await breakers.suspect(database, STORAGE, "refused")
    assert await probed(database, "refused") is BreakerState.OPEN
    pauses = []
    for _ in range(5):
        assert await probed(database, "still refused") is None
        await execute(database, "UPDATE breaker SET probe_at = now()")
        assert await breakers.take_probes(database) == [STORAGE]
        async with database.autocommit() as connection:
            pause = "SELECT extract(epoch FROM probe_at - now())::float FROM breaker"
            pauses.append((await connection.execute(text(pause))).scalar_one())
    assert pauses[0] < pauses[-1] <= breakers.PROBE_MAX_S
    await breakers.suspect(database, STORAGE, "who claimed before")
    assert await state(database) is BreakerState.OPEN
    assert await probed(database, None) is BreakerState.CLOSED
    assert await probed(database, None) is None


async def test_while_jobs_run_an_outage_is_found_before_they_fail(database: Database, hand: Deckhand) -> None:
    await claimed(database, await accepted(database, hand))
    assert await breakers.take_probes(database) == [STORAGE]
    assert await breakers.take_probes(database) == []
    assert await probed(database, "refused") is BreakerState.OPEN


async def test_a_breaker_that_is_open_for_too_long_holds_nothing_back(
    database: Database, hand: Deckhand
) -> None:
    id_ = await accepted(database, hand)
    await probed(database, None)
    await breakers.suspect(database, STORAGE, "refused")
    await probed(database, "refused", longest_s=3600)
    assert await claim(database, id_) is None
    await execute(database, "UPDATE breaker SET held_until = now()")
    assert await claim(database, id_)


async def test_the_time_in_which_a_job_was_held_back_is_a_part_of_its_outage(
    database: Database, hand: Deckhand
) -> None:
    waited, fresh = await accepted(database, hand), await accepted(database, hand)
    await breakers.suspect(database, STORAGE, "refused")
    await probed(database, "refused", longest_s=0)  # it held back as long as it may
    await execute(database, "UPDATE breaker SET opened_at = now() - interval '2 days'")
    await execute(
        database, f"UPDATE job SET due_at = now() - interval '3 days' WHERE recording_id = '{waited}'"
    )
    verdicts = []
    for id_ in (waited, waited, fresh, fresh):
        await make_due_of(database, id_)
        verdicts.append(await settle(database, await claimed(database, id_), AWAY))
    assert [type(one) for one in verdicts] == [Again, Dead, Again, Again]
    dead = await job_of(database, waited)
    assert dead
    assert (dead.state, dead.attempts, dead.outages) == (JobState.DEAD, 0, 2)


async def make_due_of(db: Database, recording_id: object) -> None:
    await execute(db, f"UPDATE job SET due_at = least(due_at, now()) WHERE recording_id = '{recording_id}'")


async def test_another_failure_is_no_outage(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    await breakers.suspect(database, STORAGE, "refused")
    await probed(database, "refused", longest_s=0)
    await settle(database, await claimed(database, id_), FAULT)
    await make_due(database)
    job = await job_of(database, id_)
    assert job
    assert (job.outage_since, job.attempts) == (None, 1)
