"""Steps in a recording's life, taken as a worker takes them."""

from typing import Any
from uuid import UUID

from sqlalchemy import text

from models import lifecycle, masking, processing, video
from models.db import Database
from models.job import JobKind
from models.lifecycle import Work
from models.masking import Masked, NewTape
from models.object import ObjectKind, PutObject
from models.processing import Processed
from models.recording import FailureCode, Recording, Status
from models.retry import Again, Dead, Failure, FailureKind, Policy
from models.video import Verified
from tests.factories import Deckhand, accepted, job_of, recording

POLICY = Policy(max_attempts=2, max_losses=2, backoff_s=0.001, backoff_max_s=0.001)
BAD = Failure(FailureKind.BAD_INPUT, FailureCode.NO_VALID_EVENTS, "None of the events is valid.")
FAULT = Failure(FailureKind.FAULT, FailureCode.PROCESSING_FAILED, "It failed.")
AWAY = Failure(FailureKind.AWAY, FailureCode.STORAGE_UNAVAILABLE, "Storage is away.")
STOPPED = Failure(FailureKind.STOPPED, FailureCode.PROCESSING_FAILED, "The worker was stopped.")
LOSS = Failure(FailureKind.LOSS, FailureCode.WORKER_LOST, "The worker was lost.")
UNREADABLE = Failure(FailureKind.BAD_INPUT, FailureCode.VIDEO_UNREADABLE, "It is no video.")
GONE = Failure(FailureKind.BAD_INPUT, FailureCode.VIDEO_MISSING, "It is gone.")
MASKED = b"a masked payload"
FACTS = {"duration_ms": 1400, "bytes": 9, "container": "webm", "codecs": ["vp9"], "has_audio": False}


async def claim(
    db: Database,
    recording_id: UUID,
    kind: JobKind | None = None,
    *,
    lease_s: float = 60,
    put_deadline_s: float = 60,
) -> Work | None:
    job = await job_of(db, recording_id, kind)
    assert job
    return await lifecycle.claim(db, job.id, worker="a test", lease_s=lease_s, put_deadline_s=put_deadline_s)


async def claimed(db: Database, recording_id: UUID, kind: JobKind | None = None, **limits: float) -> Work:
    work = await claim(db, recording_id, kind, **limits)
    assert work
    return work


def processed(work: Work, **changes: Any) -> Processed:
    values: dict[str, Any] = {
        "batches": [0],
        "tape": PutObject(work.objects[ObjectKind.TAPE], 10, 1),
        "sidecar": PutObject(work.objects[ObjectKind.SIDECAR], 5, 2),
        "index": b"index",
        "account": {
            "received": 3,
            "stored": 3,
            "duplicate": 0,
            "rejected": 0,
            "bytes": 9,
            "stored_bytes": 10,
        },
        "summary": {},
        "warnings": [],
        "masked": {},
        "playable": True,
        "event_count": 3,
        "started_at": None,
        "duration_ms": 1500,
        "navigations": [],
    }
    return Processed(**{**values, **changes})


async def masked(db: Database, hand: Deckhand, work: Work, **changes: Any) -> Masked:
    """What `mask` would make of what there is now: a tape, or without one batch 0 of the payload."""
    kept = await masking.kept(db, hand.tenant_id, work.claim.recording_id)
    assert kept
    tape = PutObject(work.objects[ObjectKind.TAPE], 11, 1)
    new = NewTape(tape, PutObject(work.objects[ObjectKind.SIDECAR], 5, 2), b"new index")
    made: dict[str, Any] = {"tape": new} if kept.tape else {"payload": {0: MASKED}}
    pages = [{"url": "https://x.example/", "timestamp_ms": 0}]
    return Masked(kept, **{"counts": {"key": 2}, "name": None, "navigations": pages, **made, **changes})


async def settle(db: Database, work: Work, failure: Failure, **options: bool) -> Again | Dead | None:
    return await lifecycle.settle(db, work.claim.recording_id, work.claim.id, failure, POLICY, **options)


async def status(db: Database, recording_id: UUID) -> Status:
    found = await recording(db, recording_id)
    assert found
    return found.status


async def objects(db: Database) -> dict[str, str]:
    async with db.autocommit() as connection:
        rows = await connection.execute(text("SELECT name, state FROM object"))
        return {row.name: row.state for row in rows}


async def make_due(db: Database) -> None:
    async with db.transaction() as session:
        await session.execute(text("UPDATE job SET due_at = now() WHERE state = 'due'"))


def verified(work: Work, **facts: object) -> Verified:
    return Verified(PutObject(work.objects[ObjectKind.VIDEO], 9, 3), FACTS | facts)


async def awaiting(db: Database, hand: Deckhand) -> UUID:
    return await accepted(db, hand, has_video=True)


async def found(db: Database, recording_id: UUID) -> Recording:
    one = await recording(db, recording_id)
    assert one
    return one


async def confirm(db: Database, recording_id: UUID, generation: str = "1") -> None:
    name = (await found(db, recording_id)).upload_name
    await video.confirm(db, recording_id, upload_name=name or "", generation=generation)


async def process(db: Database, recording_id: UUID) -> Status:
    work = await claimed(db, recording_id, JobKind.PROCESS)
    return await processing.commit_processed(db, work.claim, processed(work))


async def verify(db: Database, recording_id: UUID, **facts: object) -> Status:
    work = await claimed(db, recording_id, JobKind.VERIFY_VIDEO)
    return await video.commit_verified(db, work.claim, verified(work, **facts))


async def miss_deadline(db: Database, recording_id: UUID) -> None:
    await make_due(db)
    work = await claimed(db, recording_id, JobKind.VIDEO_DEADLINE)
    await video.commit_deadline(db, work.claim, generation=None)
