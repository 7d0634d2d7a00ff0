"""How long recordings are kept: a project's retention, and holds that go before it."""

import asyncio
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from models import administration, deletion, queries, sweep
from models.administration import Absent, Refused
from models.db import Database
from models.deletion import OnHold
from models.job import JobKind
from models.recording import FailureCode
from models.retry import Failure, FailureKind
from tests.factories import Deckhand, accepted, job_of, recording
from tests.models.steps import BAD, claimed, confirm, found, objects, process, settle

AN_INSTANT = 1e-9  # days
TOO_LARGE = Failure(FailureKind.BAD_INPUT, FailureCode.VIDEO_TOO_LARGE, "It is too large.")


async def expired(db: Database, limit: int = 100) -> list[UUID]:
    return [recording_id for _, recording_id in await sweep.expired_recordings(db, limit=limit)]


async def keep(db: Database, hand: Deckhand, days: float | None) -> None:
    await administration.set_retention(db, hand.api_key.project_id, days)


async def test_recordings_are_kept_unless_their_project_says_how_long(
    database: Database, hand: Deckhand
) -> None:
    ids = [await accepted(database, hand) for _ in range(3)]
    assert await expired(database) == []
    await keep(database, hand, 1)
    assert await expired(database) == []
    await keep(database, hand, administration.RETENTION_MAX_DAYS)
    assert await expired(database) == []
    await keep(database, hand, AN_INSTANT)
    assert await expired(database) == ids
    assert await expired(database, limit=2) == ids[:2]
    await keep(database, hand, None)
    assert await expired(database) == []


async def test_the_age_counts_from_when_it_was_accepted(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    await keep(database, hand, AN_INSTANT)
    async with database.transaction() as session:
        await session.execute(text("UPDATE recording SET created_at = now() + interval '1 hour'"))
    assert await expired(database) == []
    assert await recording(database, id_)


async def test_another_project_keeps_its_own(database: Database, hand: Deckhand) -> None:
    await accepted(database, hand)
    other = await administration.create_project(database, hand.tenant_id, "Other")
    await administration.set_retention(database, other.id, AN_INSTANT)
    assert await expired(database) == []


@pytest.mark.parametrize("days", [0, -1, float("nan"), float("inf"), administration.RETENTION_MAX_DAYS + 1])
async def test_days_that_make_no_sense_are_refused(database: Database, hand: Deckhand, days: float) -> None:
    with pytest.raises(Refused, match="must be more than 0"):
        await keep(database, hand, days)


async def test_a_project_that_is_not_there_is_told(database: Database) -> None:
    with pytest.raises(Absent, match="no project"):
        await administration.set_retention(database, uuid4(), 1)


async def test_what_is_expired_is_found_by_an_index(database: Database, hand: Deckhand) -> None:
    await keep(database, hand, 30)
    async with database.transaction() as session:
        await session.execute(
            text(
                """INSERT INTO recording (id, tenant_id, project_id, user_id, source, status, started_at, has_video,
                                          has_audio, navigations, warnings, masked)
                   SELECT uuidv7(), :tenant, :project, :user, 'upload', 'ready', now(), false, false, '[]', '[]', '{}'
                   FROM generate_series(1, 5000)"""
            ),
            {
                "tenant": hand.tenant_id,
                "project": hand.api_key.project_id,
                "user": hand.api_key.user_id,
            },
        )
    async with database.autocommit() as connection:
        await connection.execute(text("ANALYZE recording, project"))
        scanned = (
            "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'ix_recording_project_newest'"
        )
        await connection.execute(text("SELECT pg_stat_force_next_flush()"))
        before = (await connection.execute(text(scanned))).scalar_one()
        whole = text("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'recording'")
        whole_before = (await connection.execute(whole)).scalar_one()
    assert await expired(database) == []
    async with database.autocommit() as connection:
        await connection.execute(text("SELECT pg_stat_force_next_flush()"))
        assert (await connection.execute(text(scanned))).scalar_one() - before < 10
        assert (await connection.execute(whole)).scalar_one() == whole_before


async def test_nothing_deletes_what_is_on_hold(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    await keep(database, hand, AN_INSTANT)
    assert await deletion.hold(database, hand.tenant_id, id_)
    since = (await found(database, id_)).held_at
    assert await deletion.hold(database, hand.tenant_id, id_)
    assert (await found(database, id_)).held_at == since
    with pytest.raises(OnHold):
        await deletion.delete_recording(database, hand.tenant_id, id_)
    assert await expired(database) == []
    await settle(database, await claimed(database, id_), BAD)
    assert await sweep.drop_failed_payloads(database, days=0, limit=10) == 0
    assert await deletion.release(database, hand.tenant_id, id_)
    assert await expired(database) == [id_]
    assert await sweep.drop_failed_payloads(database, days=0, limit=10) == 1
    assert await deletion.delete_recording(database, hand.tenant_id, id_)


async def test_a_video_that_is_too_large_is_kept_while_it_is_on_hold(
    database: Database, hand: Deckhand
) -> None:
    for held in (True, False):
        id_ = await accepted(database, hand, has_video=True)
        await confirm(database, id_)
        if held:
            await deletion.hold(database, hand.tenant_id, id_)
        await settle(database, await claimed(database, id_, JobKind.VERIFY_VIDEO), TOO_LARGE)
        upload_name = (await found(database, id_)).upload_name
        assert (upload_name is not None) == held


async def test_a_hold_changes_nothing_that_readers_see(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    before = (await found(database, id_)).updated_at
    await deletion.hold(database, hand.tenant_id, id_)
    assert (await found(database, id_)).updated_at == before


async def test_a_hold_stops_no_job(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    await deletion.hold(database, hand.tenant_id, id_)
    assert await process(database, id_) == "ready"


async def test_what_is_deleted_another_tenant_s_or_not_there_cannot_be_held(
    database: Database, hand: Deckhand
) -> None:
    id_ = await accepted(database, hand)
    assert not await deletion.hold(database, uuid4(), id_)
    assert not await deletion.release(database, uuid4(), id_)
    await deletion.delete_recording(database, hand.tenant_id, id_)
    assert not await deletion.hold(database, hand.tenant_id, id_)
    assert not await deletion.hold(database, hand.tenant_id, uuid4())


async def test_of_a_hold_and_a_deletion_at_once_one_wins(database: Database, hand: Deckhand) -> None:
    for _ in range(10):
        id_ = await accepted(database, hand)
        held, deleted = await asyncio.gather(
            deletion.hold(database, hand.tenant_id, id_),
            deletion.delete_recording(database, hand.tenant_id, id_),
            return_exceptions=True,
        )
        assert (held is True) == isinstance(deleted, OnHold)
        one = await found(database, id_)
        assert (one.held_at is None) != (one.deleted_at is None)


async def test_deletion_takes_what_was_to_be_masked_along(database: Database, hand: Deckhand) -> None:
    id_ = await accepted(database, hand)
    async with database.transaction() as session:
        await session.execute(
            text("INSERT INTO mask_request (id, recording_id, rules) VALUES (gen_random_uuid(), :id, '{}')"),
            {"id": id_},
        )
    await deletion.delete_recording(database, hand.tenant_id, id_)
    work = await claimed(database, id_, JobKind.PURGE)
    assert await deletion.commit_purged(database, work.claim) == 0
    assert await recording(database, id_) is None


async def test_whatever_a_recording_waits_for_it_is_deleted_when_its_time_is_over(
    database: Database, hand: Deckhand
) -> None:
    awaiting = await accepted(database, hand, has_video=True)
    confirmed = await accepted(database, hand, has_video=True)
    await confirm(database, confirmed)
    await claimed(database, confirmed, JobKind.VERIFY_VIDEO)
    await keep(database, hand, AN_INSTANT)
    for tenant_id, id_ in await sweep.expired_recordings(database, limit=10):
        assert await deletion.delete_recording(database, tenant_id, id_)
    for id_ in (awaiting, confirmed):
        assert await queries.recording(database, hand.tenant_id, id_) is None
        job = await job_of(database, id_)
        assert job
        assert job.kind is JobKind.PURGE
    assert "live" not in (await objects(database)).values()
