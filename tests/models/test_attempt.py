"""The diary of jobs and statuses: written with what it tells of, bounded, gone with its recording."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from models import deletion, ledger, lifecycle, sweep
from models.attempt import KEPT, fingerprint, normalized
from models.db import Database
from models.job import JobKind
from models.recording import FailureCode
from models.retry import Failure, FailureKind
from tests.factories import Deckhand, accepted, job_of
from tests.models.steps import (
    BAD,
    FAULT,
    LOSS,
    STOPPED,
    awaiting,
    claimed,
    confirm,
    make_due,
    process,
    settle,
    verify,
)


async def rows(db: Database, query: str) -> Sequence[Any]:
    async with db.autocommit() as connection:
        return (await connection.execute(text(query))).all()


async def attempts(db: Database) -> list[tuple[Any, ...]]:
    return [
        tuple(row)
        for row in await rows(db, "SELECT number, outcome, worker FROM attempt ORDER BY job_id, number")
    ]


async def changes(db: Database) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await rows(db, "SELECT status, why FROM status_change ORDER BY at")]


async def test_each_claim_is_an_attempt_that_ends_with_it(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    work = await claimed(database, id_, lease_s=0)
    assert await attempts(database) == [(1, None, "a test")]
    await settle(database, work, LOSS, expired_only=True)
    await make_due(database)
    await settle(database, await claimed(database, id_), FAULT)
    await make_due(database)
    await settle(database, await claimed(database, id_), STOPPED)
    await process(database, id_)
    outcomes = [(1, "loss"), (2, "fault"), (3, "stopped"), (4, "done")]
    assert [(number, outcome) for number, outcome, _ in await attempts(database)] == outcomes
    assert all(row.ended_at >= row.started_at for row in await rows(database, "SELECT * FROM attempt"))
    named = [row.fingerprint for row in await rows(database, "SELECT * FROM attempt ORDER BY number")]
    assert [name is not None for name in named] == [True, True, False, False]


async def test_an_attempt_that_lost_its_claim_ends_once(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    work = await claimed(database, id_)
    await deletion.delete_recording(database, hand.tenant_id, id_)
    assert await settle(database, work, FAULT) is None
    assert [outcome for _, outcome, _ in await attempts(database)] == ["cancelled"]


async def test_only_the_newest_attempts_of_a_job_are_kept(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    for _ in range(KEPT + 3):
        await settle(database, await claimed(database, id_), STOPPED)
    numbers = [number for number, _, _ in await attempts(database)]
    assert numbers == list(range(4, KEPT + 4))


async def test_every_change_of_status_is_told_once_with_its_reason(
    database: Database, hand: Deckhand
) -> None:
    id_ = await awaiting(database, hand)
    await confirm(database, id_)
    await process(database, id_)
    await verify(database, id_)
    told = [("uploading", "accepted"), ("processing", "confirmed"), ("ready", "done")]
    assert await changes(database) == told


async def test_failing_and_trying_again_is_told(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    await settle(database, await claimed(database, id_), BAD)
    await lifecycle.retry(database, hand.tenant_id, id_, video_wait_s=60)
    await process(database, id_)
    assert await changes(database) == [
        ("uploading", "accepted"),
        ("processing", "claimed"),
        ("failed", "failed"),
        ("processing", "retried"),
        ("ready", "done"),
    ]


async def test_nothing_of_it_outlives_its_recording_or_its_history(
    database: Database, hand: Deckhand
) -> None:
    gone, kept = [await accepted(database, hand) for _ in range(2)]
    for id_ in (gone, kept):
        await process(database, id_)
    await purged(database, hand, gone)
    for table in ("attempt", "status_change"):
        left = await rows(database, f"SELECT DISTINCT recording_id FROM {table}")
        assert [row.recording_id for row in left] == [kept]
    async with database.transaction() as session:
        assert await ledger.prune(session, older_s=-1, limit=10) == 3
    assert await attempts(database) == []


async def purged(db: Database, hand: Deckhand, id_: UUID) -> None:
    await deletion.delete_recording(db, hand.tenant_id, id_)
    async with db.transaction() as session:
        await session.execute(text("UPDATE object SET expires_at = now() - interval '1 second'"))
    names = await sweep.take_expired_objects(db, limit=10, recording_id=id_)
    await sweep.forget_objects(db, names)
    work = await claimed(db, id_, JobKind.PURGE)
    assert await deletion.commit_purged(db, work.claim) == 0


def failure(exception: str = "ValueError: bad", place: str = "") -> Failure:
    code = FailureCode.PROCESSING_FAILED
    return Failure(FailureKind.FAULT, code, "It failed.", exception=exception, place=place)


def test_a_fingerprint_is_the_kind_the_error_and_the_place() -> None:
    one = fingerprint("process", failure(place="replay.plan:plan"))
    assert one == fingerprint("process", failure("ValueError: other 17", "replay.plan:plan"))
    others = {
        fingerprint("relate", failure(place="replay.plan:plan")),
        fingerprint("process", failure("KeyError: bad", "replay.plan:plan")),
        fingerprint("process", failure(place="replay.plan:cut")),
        fingerprint("process", failure()),
    }
    assert len(others | {one}) == 5


def test_without_a_place_the_message_counts_but_not_what_varies_in_it() -> None:
    assert fingerprint("process", failure("E: job 17 of 'x'")) == fingerprint(
        "process", failure("E: job 9 of 'y'")
    )
    assert fingerprint("process", failure("E: no disk")) != fingerprint("process", failure("E: no memory"))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("event 17 of 3.5 s", "event N of N s"),
        ("object 880e8400-e29b-41d4-a716-446655440000 at 0x7f00", "object N at N"),
        ("no 'secret'\n here", "no '…' here"),
        ("x" * 1000, "x" * 500),
    ],
)
def test_a_message_is_normalized(message: str, expected: str) -> None:
    assert normalized(message) == expected


async def test_a_job_that_was_running_before_there_were_attempts_still_ends(
    database: Database, hand: Deckhand
) -> None:
    id_ = await accepted(database, hand)
    work = await claimed(database, id_)
    async with database.transaction() as session:
        await session.execute(text("DELETE FROM attempt"))
    assert await settle(database, work, FAULT)
    assert await job_of(database, id_)
