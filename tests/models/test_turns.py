"""Whose turn it is: nobody waits for more than a round, nothing is rung for twice, and limits hold."""

import asyncio
from collections import Counter
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from models import breakers, ledger, queues, turns
from models.breakers import Dependency
from models.db import Database
from models.ids import new_id
from models.job import JobKind, Priority
from models.turns import NOBODY, Ready, Rung
from tests.factories import Deckhand, accepted, job_of
from tests.models.steps import claim

KIND = JobKind.RELATE
TENANTS = [UUID(int=number * 1000 + 7) for number in range(6)]


async def add(
    db: Database, tenant: UUID, jobs: int = 1, *, delay_s: float = 0, priority: Priority = Priority.AWAITED
) -> None:
    async with db.transaction() as session:
        for _ in range(jobs):
            whose = {"tenant_id": tenant, "recording_id": new_id()}
            await ledger.add(session, KIND, **whose, delay_s=delay_s, priority=priority)


async def ring(
    db: Database,
    room: int,
    after: UUID = NOBODY,
    *,
    running_max: int = 0,
    tenant_running_max: int = 0,
    priority: Priority = Priority.AWAITED,
) -> Rung:
    wanted = Ready(KIND, priority, running_max, tenant_running_max)
    async with db.transaction() as session:
        return await turns.ring(session, wanted, after=after, room=room, again_s=3600)


async def ready(db: Database) -> list[JobKind]:
    async with db.transaction() as session:
        return [found.kind for found in await turns.ready(session)]


async def ripen(db: Database) -> int:
    async with db.transaction() as session:
        return await turns.ripen(session, limit=100)


async def execute(db: Database, statement: str, **values: object) -> None:
    async with db.transaction() as session:
        await session.execute(text(statement), values)


async def whose(db: Database, rung: Rung) -> list[UUID]:
    """Whose jobs were rung for, in that order."""
    async with db.autocommit() as connection:
        rows = await connection.execute(
            text("SELECT id, tenant_id FROM job WHERE id = ANY(:ids)"), {"ids": rung.jobs}
        )
        tenants = {row.id: row.tenant_id for row in rows}
    return [tenants[id_] for id_ in rung.jobs]


class Desk:
    """Tenants' jobs, and a dispatcher that rings for them; it knows by itself what must come out."""

    def __init__(self, db: Database, running_max: int, tenant_running_max: int) -> None:
        self.db = db
        self.limits = {"running_max": running_max, "tenant_running_max": tenant_running_max}
        self.cursor = NOBODY
        self.ready: Counter[UUID] = Counter()
        self.at_work: list[tuple[UUID, UUID]] = []  # tenant, job
        self.overtaken: dict[UUID, Counter[UUID]] = {}  # who waits → who has had a turn meanwhile

    async def add(self, tenant: int, jobs: int) -> None:
        await add(self.db, TENANTS[tenant], jobs)
        self.ready[TENANTS[tenant]] += jobs

    async def finish(self, which: int, jobs: int) -> None:
        for _ in range(min(jobs, len(self.at_work))):
            _, job = self.at_work.pop(which % len(self.at_work))
            await execute(self.db, "DELETE FROM job WHERE id = :id", id=job)

    async def look(self, _: int, room: int) -> None:
        waiting = {tenant: self._free(tenant) for tenant in TENANTS if self._free(tenant) > 0}
        if most := self.limits["running_max"]:
            room = min(room, most - len(self.at_work))
        rung = await ring(self.db, room, self.cursor, **self.limits)
        tenants = await whose(self.db, rung)
        assert len(set(rung.jobs)) == len(tenants) <= max(room, 0)
        assert all(taken <= waiting[tenant] for tenant, taken in Counter(tenants).items())
        assert bool(tenants) == (room > 0 and bool(waiting))
        for (
            tenant
        ) in TENANTS:  # who had work to give, and no turn, has been overtaken: by each other once at most
            if tenant in tenants or tenant not in waiting:
                self.overtaken.pop(tenant, None)
            else:
                self.overtaken.setdefault(tenant, Counter()).update(set(tenants))
                assert max(self.overtaken[tenant].values(), default=0) <= 1
        self.ready.subtract(tenants)
        self.at_work += zip(tenants, rung.jobs, strict=True)
        self.cursor = rung.last or self.cursor
        if not rung.more and room > 0:
            assert not self.ready.total()

    def _free(self, tenant: UUID) -> int:
        most = self.limits["tenant_running_max"] or 1000
        return min(self.ready[tenant], most - sum(tenant == one for one, _ in self.at_work))


STEPS = st.tuples(st.sampled_from(["add", "look", "look", "finish"]), st.integers(0, 5), st.integers(1, 7))


@pytest.mark.timeout(300)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, min_size=5, max_size=30), st.sampled_from([0, 0, 4]), st.sampled_from([0, 1, 3]))
async def test_whatever_comes_everybody_has_a_turn_in_each_round(
    database: Database, steps: list[tuple[str, int, int]], running_max: int, tenant_running_max: int
) -> None:
    await execute(database, "TRUNCATE job")
    desk = Desk(database, running_max, tenant_running_max)
    for name, which, count in steps:
        await getattr(desk, name)(which, count)
    while desk.ready.total():  # and in the end nothing is left
        await desk.look(0, 3)
        await desk.finish(0, 3)


async def test_of_a_tenant_what_has_been_due_for_longest_comes_first(database: Database) -> None:
    await add(database, TENANTS[1], 3)
    await execute(database, "UPDATE job SET due_at = due_at - interval '1 hour' * random()")
    async with database.autocommit() as connection:
        oldest = (await connection.execute(text("SELECT id FROM job ORDER BY due_at"))).scalars().all()
    assert [*(await ring(database, 2)).jobs, *(await ring(database, 2)).jobs] == oldest


async def test_the_first_job_of_a_tenant_is_in_the_next_look(database: Database) -> None:
    await add(database, TENANTS[3], 100)
    rung = await ring(database, 8)
    assert (len(rung.jobs), rung.more) == (8, True)
    for late in (TENANTS[1], TENANTS[5]):
        await add(database, late)
    again = await ring(database, 8, rung.last or NOBODY)
    assert Counter(await whose(database, again)) == {TENANTS[1]: 1, TENANTS[5]: 1, TENANTS[3]: 3}
    assert again.more


async def test_what_comes_in_bulk_is_rung_for_apart(database: Database) -> None:
    await add(database, TENANTS[0], priority=Priority.IN_BULK)
    assert await ready(database) == [KIND]
    assert not (await ring(database, 8)).jobs
    assert len((await ring(database, 8, priority=Priority.IN_BULK)).jobs) == 1


async def test_a_job_whose_time_has_not_come_is_in_nobodys_way(database: Database) -> None:
    await add(database, TENANTS[0], delay_s=3600)
    assert await ready(database) == []
    assert await ripen(database) == 0
    await execute(database, "UPDATE job SET due_at = now(), ring_at = now()")
    assert await ripen(database) == 1
    assert await ready(database) == [KIND]
    assert len((await ring(database, 8)).jobs) == 1
    assert await ready(database) == []


async def test_a_job_that_is_ready_before_its_time_waits_for_it(database: Database) -> None:
    await add(database, TENANTS[0])  # as written by a version that knows no other way
    await execute(database, "UPDATE job SET due_at = now() + interval '1 hour'")
    assert not (await ring(database, 8)).jobs
    assert await ready(database) == []
    async with database.autocommit() as connection:
        assert (await connection.execute(text("SELECT ring_at = due_at FROM job"))).scalar_one()


async def test_a_rung_job_is_rung_again_only_later(database: Database, hand: Deckhand) -> None:
    job = await job_of(database, await accepted(database, hand))
    assert job
    for _ in range(2):
        async with database.transaction() as session:
            (wanted,) = await turns.ready(session)
            rung = await turns.ring(session, wanted, after=NOBODY, room=10, again_s=60)
            assert rung.jobs == [job.id]
        assert await ready(database) == []
        await execute(database, "UPDATE job SET ring_at = now()")
        assert await ripen(database) == 1


async def test_a_job_that_is_handed_back_is_rung_again_at_once(database: Database) -> None:
    await add(database, TENANTS[0])
    rung = await ring(database, 1)
    await turns.hand_back(database, rung.jobs[0])
    assert (await ring(database, 1)).jobs == rung.jobs
    await add(database, TENANTS[1], delay_s=3600)
    async with database.autocommit() as connection:
        waits = (await connection.execute(text("SELECT id FROM job WHERE due_at > now()"))).scalar_one()
    await turns.hand_back(database, waits)
    assert await ready(database) == []


async def test_two_dispatchers_ring_for_different_jobs(database: Database) -> None:
    await add(database, TENANTS[0], 11)
    async with database.transaction() as one, database.transaction() as other:
        first, second = [
            await turns.ring(session, Ready(KIND), after=NOBODY, room=6, again_s=60)
            for session in (one, other)
        ]
    assert (len(first.jobs), len(second.jobs)) == (6, 5)
    assert not set(first.jobs) & set(second.jobs)


async def test_a_paused_queue_is_left_out_and_its_jobs_stay_due(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    async with database.transaction() as session:
        assert await queues.pause(session, JobKind.PROCESS, "alice")
        assert not await queues.pause(session, JobKind.PROCESS, "bob")
        (process,) = [one for one in await queues.all_of(session) if one.paused_at]
        assert (process.kind, process.paused_by) == (JobKind.PROCESS, "alice")
    assert await ready(database) == []
    assert await claim(database, id_) is None
    async with database.transaction() as session:
        assert await queues.resume(session, JobKind.PROCESS)
        assert not await queues.resume(session, JobKind.PROCESS)
    assert await ready(database) == [JobKind.PROCESS]
    assert await claim(database, id_)


async def test_while_what_it_needs_is_away_no_job_begins(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    await breakers.suspect(database, Dependency.STORAGE, "refused")
    assert await ready(database) == [JobKind.PROCESS]  # it is only a suspicion
    await breakers.probed(database, Dependency.STORAGE, "refused", longest_s=60)
    assert await ready(database) == []
    assert await claim(database, id_) is None
    await breakers.probed(database, Dependency.STORAGE, None, longest_s=60)
    assert await ready(database) == [JobKind.PROCESS]
    assert await claim(database, id_)


@pytest.mark.parametrize("limits", [{"running_max": 2}, {"tenant_running_max": 2}])
async def test_however_many_claim_at_once_no_more_than_the_limit_run(
    database: Database, hand: Deckhand, limits: dict[str, int]
) -> None:
    async with database.transaction() as session:
        wanted = {"running_max": None, "tenant_running_max": None} | limits
        await queues.limit(session, JobKind.PROCESS, **wanted)
        (process,) = [one for one in await queues.all_of(session) if one.kind is JobKind.PROCESS]
        assert process.model_dump(include=set(wanted)) == wanted
    ids = [await accepted(database, hand) for _ in range(6)]
    works = [work for work in await asyncio.gather(*(claim(database, id_) for id_ in ids)) if work]
    assert len(works) == 2
    async with database.transaction() as session:
        (found,) = await turns.ready(session)
        assert not (await turns.ring(session, found, after=NOBODY, room=9, again_s=9)).jobs
        await ledger.finish(session, works[0].claim)
    assert (
        len(
            [
                work
                for work in [await claim(database, id_) for id_ in ids if id_ != works[0].claim.recording_id]
                if work
            ]
        )
        == 1
    )
