"""Why a job is not running: one sentence, right in every situation."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from models import answers, queues
from models.answers import Facts, why_not_running
from models.db import Database
from models.ids import new_id
from models.job import JobKind, JobState
from models.processes import Role, beat, drain
from tests.factories import Deckhand, a_process, accepted, job_of
from tests.models.steps import AWAY, BAD, FAULT, claimed, process, settle

NOW = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)
BEFORE, AFTER = NOW - timedelta(seconds=30), NOW + timedelta(seconds=30)
DUE = Facts(JobState.DUE, "process", NOW, BEFORE, workers=1, dispatchers=1)

SITUATIONS: list[tuple[dict[str, Any], str]] = [
    ({"state": JobState.RUNNING, "worker": "w:1", "lease_until": AFTER}, "running: held by w:1 until 2026-05-04 10:00:30Z"),
    ({"state": JobState.RUNNING, "worker": "w:1", "lease_until": BEFORE}, "about to be taken back as lost"),
    ({"state": JobState.DEAD, "error_code": "no_valid_events", "finished_at": BEFORE}, "died of no_valid_events"),
    ({"state": JobState.DEAD, "finished_at": BEFORE}, "It died at 2026-05-04 09:59:30Z"),
    ({"state": JobState.DONE, "finished_at": BEFORE}, "done since 2026-05-04 09:59:30Z"),
    ({"state": JobState.CANCELLED, "finished_at": BEFORE}, "cancelled at 2026-05-04 09:59:30Z"),
    ({"deleted": True}, "recording was deleted"),
    ({"due_at": AFTER}, "due at 2026-05-04 10:00:30Z"),
    ({"due_at": AFTER, "attempts": 1, "error_code": "rows_failed"}, "failed (rows_failed) and waits for a retry until"),
    ({"due_at": AFTER, "outages": 3, "error_code": "storage_unavailable"}, "away, 3 times in a row: it is tried again at"),
    ({"paused_at": BEFORE, "paused_by": "kim"}, "queue process was paused by kim at 2026-05-04 09:59:30Z"),
    ({"paused_at": BEFORE}, "paused by somebody"),
    ({"away": "storage"}, "away (storage)"),
    ({"dispatchers": 0}, "No dispatcher is there: nobody rings for it"),
    ({"dispatchers": 0, "ring_at": BEFORE}, "No dispatcher is there: nobody rings for it"),
    ({"dispatchers": 0, "ring_at": NOW}, "No dispatcher is there: nobody rings for it"),
    ({"dispatchers": 0, "ring_at": AFTER}, "no worker has taken it yet; no dispatcher is there to ring for it again"),
    ({"dispatchers": 0, "ring_at": AFTER, "workers": 0}, "No worker is there"),
    ({"dispatchers": 0, "ring_at": AFTER, "away": "storage"}, "No dispatcher is there"),
    (
        {"dispatchers": 0, "state": JobState.RUNNING, "worker": "w:1", "lease_until": BEFORE},
        "is lost: no dispatcher is there to take it back",
    ),
    ({"workers": 0}, "No worker is there for the queue process"),
    ({"workers": 0, "draining": 2}, "2 of them, all drain"),
    ({"running": 4, "running_max": 4}, "at its limit: 4 of 4 run"),
    ({"running": 3, "running_max": 4}, "waits for its turn"),
    ({"tenant_running": 2, "tenant_running_max": 2}, "Its tenant is at its limit on the queue process: 2 of 2"),
    ({"redis_away": True}, "Redis is away"),
    ({}, "waits for its turn"),
    ({"ring_at": BEFORE}, "waits for its turn"),
    ({"ring_at": AFTER}, "rung for and no worker has taken it yet; it is rung for again at 2026-05-04 10:00:30Z"),
    ({"ring_at": NOW}, "rung for, nobody came"),
]  # fmt: skip


@pytest.mark.parametrize(("situation", "said"), SITUATIONS)
def test_it_says_what_holds_a_job_back(situation: dict[str, Any], said: str) -> None:
    sentence = why_not_running(replace(DUE, **situation))
    assert said in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


HOLDS: list[dict[str, Any]] = [
    {"deleted": True},
    {"due_at": AFTER},
    {"paused_at": BEFORE},
    {"dispatchers": 0},
    {"away": "storage"},
    {"workers": 0},
    {"running": 1, "running_max": 1},
    {"tenant_running": 1, "tenant_running_max": 1},
    {"redis_away": True},
]


@pytest.mark.parametrize("state", JobState)
def test_in_every_combination_it_names_the_first_that_holds_it_back(state: JobState) -> None:
    alone = [why_not_running(replace(DUE, **hold)) for hold in HOLDS]
    assert len(set(alone)) == len(HOLDS)
    for chosen in range(1 << len(HOLDS)):
        together: dict[str, Any] = {}
        names = [number for number in range(len(HOLDS)) if chosen >> number & 1]
        for number in names:
            together |= HOLDS[number]
        sentence = why_not_running(replace(DUE, state=state, **together))
        if state is JobState.DUE:
            free = why_not_running(DUE)
            assert sentence == (alone[names[0]] if names else free)
        else:
            assert sentence == why_not_running(replace(DUE, state=state))


async def why(db: Database, job_id: Any, **options: Any) -> str:
    found = await answers.facts(db, job_id, **options)
    assert found
    return why_not_running(found)


async def test_the_facts_are_those_of_the_database(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    job = await job_of(database, id_)
    assert job
    assert "No dispatcher is there" in await why(database, job.id)
    await beat(database, a_process(Role.DISPATCHER))
    assert "No worker is there" in await why(database, job.id)
    worker = a_process(Role.WORKER, kinds=["process", "relate"])
    await beat(database, worker)
    assert "waits for its turn" in await why(database, job.id)
    async with database.transaction() as session:
        await queues.pause(session, JobKind.PROCESS, "kim")
    assert "paused by kim" in await why(database, job.id)
    async with database.transaction() as session:
        await queues.resume(session, JobKind.PROCESS)
        await session.execute(
            text(
                "INSERT INTO breaker (dependency, state, held_until) VALUES ('storage', 'open', now() + interval '1 h')"
            )
        )
    assert "away (storage)" in await why(database, job.id)
    async with database.transaction() as session:
        await session.execute(text("DELETE FROM breaker"))
        await drain(session, worker.id, "kim")
    assert "all drain" in await why(database, job.id)
    async with database.transaction() as session:
        await session.execute(text("UPDATE process SET draining_at = NULL"))
    other = await accepted(database, hand)
    work = await claimed(database, other)
    assert "Its tenant is at its limit" in await why(database, job.id, tenant_running_max=1)
    assert "waits for its turn" in await why(database, job.id, tenant_running_max=2)
    assert "held by a test" in await why(database, work.claim.job_id)
    async with database.transaction() as session:
        await queues.limit(session, JobKind.PROCESS, running_max=1, tenant_running_max=0)
    assert "1 of 1 run" in await why(database, job.id)
    async with database.transaction() as session:
        await session.execute(text("DELETE FROM queue"))
    assert "Redis is away" in await why(database, job.id, redis_away=True)
    await settle(database, work, AWAY)
    async with database.transaction() as session:
        await session.execute(text("UPDATE job SET due_at = now() + interval '1 h' WHERE outages > 0"))
    assert "1 times in a row" in await why(database, work.claim.job_id)
    await process(database, id_)
    assert "done since" in await why(database, job.id)
    assert await answers.facts(database, new_id()) is None


async def test_a_dead_job_says_what_it_died_of(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    work = await claimed(database, id_)
    await settle(database, work, FAULT)
    async with database.transaction() as session:
        await session.execute(text("UPDATE job SET due_at = now() + interval '1 h'"))
    assert "failed (processing_failed) and waits for a retry" in await why(database, work.claim.job_id)
    async with database.transaction() as session:
        await session.execute(text("UPDATE job SET due_at = now()"))
    await settle(database, await claimed(database, id_), BAD)
    assert "died of no_valid_events" in await why(database, work.claim.job_id)
