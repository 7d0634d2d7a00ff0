"""The video of a recording: awaited, confirmed, verified; or missing.

    awaited ──confirm, or the deadline finds it──▶ confirmed ──verify_video──▶ verified
       │                                               │
       └─the deadline finds nothing─▶ failed: video_missing ◀─it vanished from storage
                                             └──confirm──▶ confirmed

A client puts it under `upload_name`, which no other object ever has; `upload_generation` says which of its puts was
confirmed. Each transaction changes a status only through `models.lifecycle`.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, update
from sqlmodel import col

from models import ledger, lifecycle
from models.db import Database
from models.ids import new_id
from models.job import JobKind
from models.ledger import Claim, ClaimLost
from models.object import ObjectKind, PutObject, StoredObject, bury, expect_upload, object_name, publish
from models.recording import FailureCode, Recording, Status

OPEN_AGAIN_S = 600  # while a recording is open, its video is looked for again after so long
MISSING = "No video was uploaded in time."


@dataclass(frozen=True)
class VideoTerms:
    """Seconds: how long a video is waited for, an upload URL holds, and an upload may go on that began in time."""

    wait_s: float
    url_ttl_s: int
    upload_deadline_s: float

    @property
    def upload_ends_s(self) -> float:
        """After this no upload to a URL that is signed now can be under way."""
        return self.url_ttl_s + self.upload_deadline_s


class NotAwaited(Exception):
    """No video is awaited: none was announced, one is confirmed, or the recording failed for another reason."""


@dataclass(frozen=True)
class Verified:
    """What `verify_video` put and found out: `facts` are the API's `video`."""

    video: PutObject
    facts: dict[str, Any]


def may_upload(recording: Recording) -> bool:
    """Whether a client may still upload and confirm a video: it is awaited, or its time was over and nothing else."""
    return lifecycle.awaits_video(recording) and (
        recording.status is not Status.FAILED or recording.failure_code is FailureCode.VIDEO_MISSING
    )


async def renew_upload(db: Database, tenant_id: UUID, recording_id: UUID, *, ends_s: float) -> str | None:
    """The name to presign for another upload, none of which goes on after `ends_s` seconds. None: no such recording.

    The deadline waits for it: who closes the browser after this upload has not failed. Raises NotAwaited.
    """
    async with db.transaction() as session:
        recording = await lifecycle.lock(session, recording_id)
        if recording is None or recording.tenant_id != tenant_id:
            return None
        if not may_upload(recording):
            raise NotAwaited
        await ledger.postpone(session, recording_id, JobKind.VIDEO_DEADLINE, delay_s=ends_s)
        if recording.upload_name:
            ends_at = func.clock_timestamp() + timedelta(seconds=ends_s)
            await session.execute(
                update(StoredObject)
                .where(col(StoredObject.name) == recording.upload_name)
                .values(expires_at=func.greatest(col(StoredObject.expires_at), ends_at))
            )
            return recording.upload_name
        name = object_name(ObjectKind.UPLOAD, tenant_id, recording_id, new_id())
        await expect_upload(session, name, recording_id=recording_id, ends_s=ends_s)
        await lifecycle.change(session, recording_id, upload_name=name)
        return name


async def confirm(db: Database, recording_id: UUID, *, upload_name: str, generation: str) -> None:
    """The client's upload is in storage, as this generation: verify it. Raises NotAwaited; also when it was deleted."""
    async with db.transaction() as session:
        recording = await lifecycle.lock(session, recording_id)
        if recording is None or not may_upload(recording) or recording.upload_name != upload_name:
            raise NotAwaited
        await ledger.cancel(session, recording_id, JobKind.VIDEO_DEADLINE)
        await lifecycle.resume(session, recording, upload_generation=generation)


async def commit_deadline(db: Database, claim: Claim, *, generation: str | None) -> None:
    """The time is up: confirm on the client's behalf what is in storage, or fail the recording. Raises ClaimLost."""
    async with db.transaction() as session:
        recording = await lifecycle.lock(session, claim.recording_id)
        if recording is None:
            raise ClaimLost
        await ledger.hold(session, claim)
        if recording.status is Status.UPLOADING and lifecycle.awaits_video(recording):
            if generation:
                await lifecycle.resume(session, recording, upload_generation=generation)
            elif recording.is_open:  # its client is still at work
                await ledger.continue_later(session, claim, delay_s=OPEN_AGAIN_S)
                return
            else:
                await lifecycle.fail(session, recording, FailureCode.VIDEO_MISSING, MISSING)
        await ledger.finish(session, claim)


async def commit_verified(db: Database, claim: Claim, done: Verified) -> Status:
    """The effects of `verify_video`, once: the video onto the recording, the upload left to be swept. Raises ClaimLost."""
    async with db.transaction() as session:
        recording = await lifecycle.lock(session, claim.recording_id)
        if recording is None:
            raise ClaimLost
        await ledger.hold(session, claim)
        if not await publish(session, claim.id, done.video):
            raise ClaimLost
        await bury(session, [recording.upload_name, recording.video_name])
        recording.upload_name, recording.video_name, recording.video = None, done.video.name, done.facts
        return await lifecycle.advance(session, recording, claim)
