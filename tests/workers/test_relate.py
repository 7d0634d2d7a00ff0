"""The job `relate`: the rows that it makes of a tape, on a real Postgres and a real storage."""

import asyncio
import gzip
import json
import os
import tracemalloc
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from models import deletion, lifecycle, masking, relating, turns
from models.job import JobKind, Priority
from models.ledger import ClaimLost
from models.lifecycle import Work
from models.masking import Progress
from models.recording import FailureCode, Source, Status
from models.retry import Again, Dead
from models.rows import MODELS
from models.turns import NOBODY, Ready
from replay.cut import events_of
from replay.index import Index
from replay.plan import BadRecording
from replay.privacy import Rules
from replay.relations.columns import Table
from settings import Settings
from tests.factories import Deckhand, accepted, events, job_of, upload
from tests.models.steps import claimed, found, settle
from tests.replay.recordings import LARGE_NODES, META, START_MS, envelope, large_snapshot
from tests.replay.rows import same
from tests.workers import alone, rows
from tests.workers.inspections import on_linux
from workers.failures import failure_of
from workers.mask import mask
from workers.process import process
from workers.purge import purge
from workers.relate import relate
from workers.tools import Tools

RECORDINGS = Path(__file__).parents[1] / "fixtures" / "recordings"
LOGS = {
    "console_logs": [{"level": "error", "args": ["\ud800 \0", {"a": 1.5}], "timestamp": 1}],
    "network_logs": [
        {"id": 1, "status": 2.5},
        {"id": "f1", "url": "https://x.example/", "status": 500, "mine": True},
    ],
}
SSN = "123-45-6789"
TOLD = {"type": 5, "data": {"tag": "form", "payload": {"ssn": SSN}}, "timestamp": 1_700_000_001_500}


async def processed(
    tools: Tools, hand: Deckhand, body: bytes | None = None, source: Source = Source.REPLAY
) -> UUID:
    id_ = await accepted(tools.db, hand, body, source=source)
    await process(await claimed(tools.db, id_, JobKind.PROCESS), tools)
    return id_


async def work_on(tools: Tools, id_: UUID) -> Work:
    return await claimed(tools.db, id_, JobKind.RELATE)


async def related(tools: Tools, hand: Deckhand, body: bytes | None = None) -> UUID:
    id_ = await processed(tools, hand, body)
    await relate(await work_on(tools, id_), tools)
    return id_


async def tape(tools: Tools, id_: UUID) -> list[bytes]:
    """The events as they are stored."""
    async with tools.db.autocommit() as connection:
        query = text("SELECT name, index FROM tape WHERE recording_id = :id")
        name, index = (await connection.execute(query, {"id": id_})).one()
    stored = b"".join([chunk async for chunk in tools.storage.read(name)])
    parts = Index.decode(index).parts
    return [bytes(e) for part in parts for e in events_of(part, stored[part.offset : part.end])]


async def count(tools: Tools) -> int:
    """How many rows there are, of all recordings."""
    async with tools.db.autocommit() as connection:
        counts = [
            (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
            for table in (*MODELS, "replay")
        ]
    return sum(counts)


def all_same(ones: list[bytes], others: list[bytes]) -> bool:
    return len(ones) == len(others) and all(map(same, ones, others))


@pytest.mark.parametrize(
    "name", ["everything.json", "shop-legacy.json", "shop-posthog.json", "flood.json.gz"]
)
async def test_the_rows_give_every_event_back(tools: Tools, hand: Deckhand, name: str) -> None:
    content = (RECORDINGS / name).read_bytes()
    recorded = json.loads(gzip.decompress(content) if name.endswith(".gz") else content)
    recorded = recorded["events"] if isinstance(recorded, dict) else recorded
    id_ = await related(tools, hand, upload(recorded, **LOGS))
    stored = await tape(tools, id_)
    assert len(stored) > 10
    assert all_same(await rows.events(tools.db, id_), stored)
    console, network = await rows.logs(tools.db, id_)
    sent = [[json.dumps(log).encode() for log in logs] for logs in LOGS.values()]
    assert all_same(console, sent[0])
    assert all_same(network, sent[1])


async def test_memory_holds_a_part_of_a_recording_and_never_all_its_rows(
    tools: Tools, hand: Deckhand
) -> None:
    id_ = await processed(tools, hand, upload(events(60_000)))
    work = await work_on(tools, id_)
    tracemalloc.start()
    try:
        await relate(work, tools)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert await count(tools) == 4 * 60_000 - 2  # as tuples, more than 50 MB
    assert peak_bytes < 25_000_000


@on_linux
async def test_a_snapshot_of_hundreds_of_thousands_of_nodes_has_room_in_a_small_worker(
    tools: Tools, hand: Deckhand, config: Settings
) -> None:
    id_ = await processed(tools, hand, envelope([META % (START_MS - 1), large_snapshot()]))
    environment = {
        "DATABASE_URL": config.database_url,
        "REDIS_URL": config.redis_url,
        "STORAGE_URL": f"{config.storage_url}/objects",
        "TAPEDECK_SECRET_KEY": config.secret_key,
    }
    peak = await alone.peak_bytes(await work_on(tools, id_), os.environ | environment)
    assert await count(tools) > 2 * LARGE_NODES
    assert peak < 600_000_000


async def test_a_replay_is_ready_once_its_rows_are_there(tools: Tools, hand: Deckhand) -> None:
    id_ = await processed(tools, hand)
    assert (await found(tools.db, id_)).status is Status.PROCESSING
    await relate(await work_on(tools, id_), tools)
    recording = await found(tools.db, id_)
    assert recording.status is Status.READY
    assert lifecycle.has_rows(recording)
    assert await job_of(tools.db, id_) is None
    async with tools.db.autocommit() as connection:
        replay = (await connection.execute(text("SELECT * FROM replay"))).mappings().one()
    assert (replay["replay_id"], replay["tenant_id"], replay["event_count"]) == (id_, hand.tenant_id, 3)
    assert replay["last_timestamp"] - replay["first_timestamp"] == 1000


async def test_another_recording_has_rows_when_its_project_wants_them_or_somebody_asks(
    tools: Tools, hand: Deckhand
) -> None:
    without = await processed(tools, hand, source=Source.UPLOAD)
    assert await job_of(tools.db, without) is None
    assert (await found(tools.db, without)).status is Status.READY
    async with tools.db.transaction() as session:
        await session.execute(text("UPDATE project SET relational = true"))
    wanted = await processed(tools, hand, source=Source.UPLOAD)
    assert (await found(tools.db, wanted)).status is Status.READY
    await relating.ask(tools.db, hand.tenant_id, without)
    for id_ in wanted, without:
        await relate(await work_on(tools, id_), tools)
        assert all_same(await rows.events(tools.db, id_), await tape(tools, id_))
        assert (await found(tools.db, id_)).status is Status.READY


async def test_what_a_recording_is_not_ready_without_goes_before_what_was_asked_for(
    tools: Tools, hand: Deckhand
) -> None:
    asked = await processed(tools, hand, source=Source.UPLOAD)
    await relating.ask(tools.db, hand.tenant_id, asked)
    waiting = await processed(tools, hand)
    for id_, priority in ((waiting, Priority.AWAITED), (asked, Priority.IN_BULK)):
        job = await job_of(tools.db, id_, JobKind.RELATE)
        assert job
        async with tools.db.transaction() as session:
            rung = await turns.ring(
                session, Ready(JobKind.RELATE, priority), after=NOBODY, room=9, again_s=60
            )
            assert rung.jobs == [job.id]


async def test_a_second_run_replaces(tools: Tools, hand: Deckhand) -> None:
    id_ = await related(tools, hand)
    before = await count(tools)
    assert await relating.ask(tools.db, hand.tenant_id, id_) is Status.READY
    await relate(await work_on(tools, id_), tools)
    assert await count(tools) == before
    assert all_same(await rows.events(tools.db, id_), await tape(tools, id_))


async def test_a_claim_that_was_lost_meanwhile_leaves_nothing(
    tools: Tools, hand: Deckhand, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = await processed(tools, hand)
    work = await work_on(tools, id_)
    await on_first_copy(monkeypatch, lambda: deletion.delete_recording(tools.db, hand.tenant_id, id_))
    with pytest.raises(ClaimLost):
        await relate(work, tools)
    assert await count(tools) == 0


async def test_an_error_in_the_middle_leaves_nothing_and_is_tried_again(
    tools: Tools, hand: Deckhand, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = await processed(tools, hand)
    work = await work_on(tools, id_)

    async def terminate() -> None:
        async with tools.db.autocommit() as connection:
            await connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
            )

    await on_first_copy(monkeypatch, terminate)
    with pytest.raises(Exception) as error:  # noqa: PT011  # whichever the driver raises
        await relate(work, tools)
    assert await count(tools) == 0
    failure = failure_of(error.value)
    assert failure.kind == "away", failure.detail
    await settle(tools.db, work, failure)
    async with tools.db.transaction() as session:
        await session.execute(text("UPDATE job SET due_at = now()"))
    await relate(await work_on(tools, id_), tools)
    assert all_same(await rows.events(tools.db, id_), await tape(tools, id_))


async def test_a_worker_that_froze_while_it_copied_holds_nobody_up(
    tools: Tools, hand: Deckhand, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = await processed(tools, hand)
    work = await work_on(tools, id_)
    frozen, thaws = asyncio.Event(), asyncio.Event()

    async def freeze() -> None:
        frozen.set()
        await thaws.wait()

    await on_first_copy(monkeypatch, freeze, after=True)
    stuck = asyncio.create_task(relate(work, tools))
    await frozen.wait()
    async with tools.db.transaction() as session:
        await session.execute(text("UPDATE job SET state = 'due', claim_id = NULL, lease_until = NULL"))
    other = Tools(tools.db, tools.storage, 10, 2**30, 2**30)
    await relate(await work_on(tools, id_), other)
    thaws.set()
    with pytest.raises(Exception):  # noqa: B017, PT011  # its session has ended
        await stuck
    assert all_same(await rows.events(tools.db, id_), await tape(tools, id_))


async def test_a_recording_is_locked_by_nobody_while_its_rows_are_copied(
    tools: Tools, hand: Deckhand, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = await related(tools, hand)  # so that there are rows to replace
    await relating.ask(tools.db, hand.tenant_id, id_)
    locked = []

    async def lock_it() -> None:
        async with tools.db.transaction() as session:
            for table in ("recording", "job", "replay"):
                wanted = f"SELECT count(*) FROM (SELECT 1 FROM {table} FOR UPDATE NOWAIT) AS one"
                locked.append((await session.execute(text(wanted))).scalar_one())

    await on_first_copy(monkeypatch, lock_it, after=True)
    await relate(await work_on(tools, id_), tools)
    assert locked == [1, 1, 1]


async def test_a_job_that_is_cancelled_leaves_nothing(
    tools: Tools, hand: Deckhand, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = await processed(tools, hand)
    running = asyncio.create_task(relate(await work_on(tools, id_), tools))

    async def cancel() -> None:
        running.cancel()

    await on_first_copy(monkeypatch, cancel)
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await count(tools) == 0


async def test_a_tape_that_cannot_be_read_fails_a_replay_and_no_other(
    tools: Tools, hand: Deckhand, tmp_path: Path
) -> None:
    for source, status in ((Source.REPLAY, Status.FAILED), (Source.UPLOAD, Status.READY)):
        id_ = await processed(tools, hand, source=source)
        await relating.ask(tools.db, hand.tenant_id, id_)
        (tmp_path / "objects" / ((await found(tools.db, id_)).tape_name or "")).write_bytes(b"nothing")
        work = await work_on(tools, id_)
        with pytest.raises(BadRecording) as bad:
            await relate(work, tools)
        assert await settle(tools.db, work, failure_of(bad.value)) == Dead()
        recording = await found(tools.db, id_)
        assert recording.status is status
        assert recording.failure_code == (FailureCode.ROWS_FAILED if source is Source.REPLAY else None)
    assert await count(tools) == 0


async def test_a_failed_replay_is_retried_from_its_tape(tools: Tools, hand: Deckhand) -> None:
    id_ = await processed(tools, hand)
    work = await work_on(tools, id_)
    await settle(tools.db, work, failure_of(BadRecording("payload_unreadable", "It is broken.")))
    assert (await found(tools.db, id_)).failure_code is FailureCode.ROWS_FAILED
    assert await lifecycle.retry(tools.db, hand.tenant_id, id_, video_wait_s=1) is Status.PROCESSING
    await relate(await work_on(tools, id_), tools)
    assert (await found(tools.db, id_)).status is Status.READY


async def test_a_deleted_recording_s_rows_are_purged(
    tools: Tools, hand: Deckhand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relating, "PURGED_AT_ONCE", 7)
    kept = await related(tools, hand)
    only = await count(tools)
    id_ = await related(tools, hand, upload(events(30)))
    await deletion.delete_recording(tools.db, hand.tenant_id, id_)
    async with tools.db.transaction() as session:
        await session.execute(text("UPDATE object SET expires_at = now() WHERE state <> 'live'"))
    await purge(await claimed(tools.db, id_, JobKind.PURGE), tools)
    assert await count(tools) == only
    assert len(await rows.events(tools.db, kept)) == 3


async def test_masking_again_hides_the_rows_until_they_are_replaced(tools: Tools, hand: Deckhand) -> None:
    id_ = await related(tools, hand, upload([*events(), TOLD]))
    await masking.ask(tools.db, hand.tenant_id, id_, Rules(keys=("ssn",)))
    await mask(await claimed(tools.db, id_, JobKind.MASK), tools)
    masked = await found(tools.db, id_)
    assert not lifecycle.has_rows(masked)
    assert await masking.progress(tools.db, hand.tenant_id, id_) == (Status.READY, Progress.PENDING)
    await relate(await work_on(tools, id_), tools)
    assert await masking.progress(tools.db, hand.tenant_id, id_) == (Status.READY, Progress.DONE)
    assert lifecycle.has_rows(await found(tools.db, id_))
    made = await rows.events(tools.db, id_)
    assert not any(SSN.encode() in event for event in made)
    assert all_same(made, await tape(tools, id_))


async def test_what_was_masked_leaves_the_rows_though_no_others_can_be_made(
    tools: Tools, hand: Deckhand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relating, "PURGED_AT_ONCE", 2)
    id_ = await related(tools, hand, upload([*events(), TOLD]))
    only = await count(tools)
    await related(tools, hand)
    await masking.ask(tools.db, hand.tenant_id, id_, Rules(keys=("ssn",)))
    await mask(await claimed(tools.db, id_, JobKind.MASK), tools)
    lost = await work_on(tools, id_)  # before it got to do anything
    given_up = await settle(tools.db, lost, failure_of(BadRecording("payload_unreadable", "It is broken.")))
    assert isinstance(given_up, Again)
    assert await masking.progress(tools.db, hand.tenant_id, id_) == (Status.READY, Progress.PENDING)
    (tmp_path / "objects" / ((await found(tools.db, id_)).tape_name or "")).write_bytes(b"nothing")
    async with tools.db.transaction() as session:
        await session.execute(text("UPDATE job SET due_at = now()"))
    work = await work_on(tools, id_)
    with pytest.raises(BadRecording) as bad:
        await relate(work, tools)
    assert await rows.events(tools.db, id_) == []
    assert 0 < await count(tools) < only
    assert await masking.progress(tools.db, hand.tenant_id, id_) == (Status.READY, Progress.DONE)
    assert await settle(tools.db, work, failure_of(bad.value)) == Dead()
    with pytest.raises(ClaimLost):
        await relating.drop_outdated(tools.db, lost.claim)
    assert await count(tools) > 0


async def test_a_tape_that_is_replaced_meanwhile_gives_the_rows(
    tools: Tools, hand: Deckhand, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = await processed(tools, hand, upload([*events(), TOLD]))
    work = await work_on(tools, id_)

    async def mask_it() -> None:
        await masking.ask(tools.db, hand.tenant_id, id_, Rules(keys=("ssn",)))
        await mask(await claimed(tools.db, id_, JobKind.MASK), tools)

    await on_first_copy(monkeypatch, mask_it)
    await relate(work, tools)
    assert (await found(tools.db, id_)).status is Status.READY
    assert all_same(await rows.events(tools.db, id_), await tape(tools, id_))
    assert not any(SSN.encode() in event for event in await rows.events(tools.db, id_))


async def on_first_copy(monkeypatch: pytest.MonkeyPatch, do: Any, *, after: bool = False) -> None:
    """Have something happen in the middle of the next `relate`."""
    copy, is_first = relating.Copy.rows, True

    async def copy_rows(self: relating.Copy, table: Table, made: Any) -> None:
        nonlocal is_first
        now, is_first = is_first, False
        if now and not after:
            await do()
        await copy(self, table, made)
        if now and after:
            await do()

    monkeypatch.setattr(relating.Copy, "rows", copy_rows)
