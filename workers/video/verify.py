"""The job `verify_video`: the upload becomes the recording's video, if it is one.

Copy exactly one generation of it to a name that no presigned URL can write, inspect that copy, then commit.
"""

import time

import structlog

from models import ledger, queries, video
from models.ledger import ClaimLost
from models.lifecycle import Work
from models.object import ObjectKind, PutObject
from models.recording import FailureCode
from models.video import Verified
from storage.protocol import NotFound, Stored
from workers.tools import Tools
from workers.video.inspect import BadVideo, Limits, inspect

log = structlog.get_logger()


async def verify_video(work: Work, tools: Tools) -> None:
    """Run the job. Raises BadVideo, ClaimLost, and what database, storage and the inspection raise."""
    recording = await queries.any_recording(tools.db, work.claim.recording_id)
    if recording is None or recording.upload_generation is None:
        raise ClaimLost
    name = work.objects[ObjectKind.VIDEO]
    with tools.traces.span("storage copy", "CLIENT", tapedeck__object=name):
        stored = await _copy(work, tools, recording.upload_name, recording.upload_generation, name)
    async with tools.turn(tools.inspecting):
        limits = Limits(wall_s=tools.turn_s / 2)
        facts = await inspect(tools.storage, name, size=stored.size, limits=limits)
    await video.commit_verified(
        tools.db,
        work.claim,
        Verified(
            PutObject(name, stored.size, stored.crc32c),
            {
                "duration_ms": facts.duration_ms,
                "bytes": stored.size,
                "container": facts.container,
                "codecs": facts.codecs,
                "has_audio": facts.has_audio,
            },
        ),
    )


async def _copy(work: Work, tools: Tools, upload: str | None, generation: str, name: str) -> Stored:
    """The confirmed upload under its final name. One that was replaced since gives way to what its client sent last."""
    found = await tools.storage.find(upload) if upload else None
    while found is not None and upload is not None:
        if found.generation != generation:
            log.warning("upload_replaced", confirmed=generation, found=found.generation)
            generation = found.generation
        if found.size == 0:
            raise BadVideo("The video is empty.")
        if found.size > tools.max_video_bytes:
            message = f"The video has {found.size} bytes; at most {tools.max_video_bytes} are allowed."
            raise BadVideo(message, FailureCode.VIDEO_TOO_LARGE)
        began = time.monotonic()
        await ledger.check(tools.db, work.claim)
        try:
            left_s = tools.put_deadline_s - (time.monotonic() - began)
            return await tools.storage.copy(upload, name, generation=generation, deadline_s=left_s)
        except NotFound:
            found = await tools.storage.find(upload)
    raise BadVideo("The video that was uploaded is gone from storage.", FailureCode.VIDEO_MISSING)
