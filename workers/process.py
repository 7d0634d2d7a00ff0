"""The job `process`: a payload becomes a tape and a sidecar.

Load the payload, plan purely, put both objects, then commit everything at once.
"""

import asyncio
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

import google_crc32c
import msgspec

from models import lifecycle, payload, queries
from models.ledger import ClaimLost
from models.lifecycle import Processed, PutObject, Work
from models.object import ObjectKind
from models.recording import Recording
from replay.plan import Claims, Plan, plan
from workers.tools import Tools

SPOOL_BYTES = 16 * 1024 * 1024
CONTENT_TYPE = "application/json"


class Stopped(Exception):
    """The job was cancelled while a thread planned for it."""


@dataclass(frozen=True)
class Spooled:
    """Bytes ready to be put, in memory or in a temporary file."""

    file: BinaryIO
    size: int
    crc32c: int


async def process(work: Work, tools: Tools) -> None:
    """Run the job. Raises BadRecording, ClaimLost, and what database and storage raise."""
    recording = await queries.any_recording(tools.db, work.claim.recording_id)
    if recording is None:
        raise ClaimLost
    batches = await payload.batches(tools.db, recording.id)
    with ExitStack() as files:
        async with tools.planning:
            compressed = [
                [c async for c in payload.chunks(tools.db, recording.id, batch)] for batch in batches
            ]
            planned, tape, sidecar = await _in_thread(
                compressed, claims_of(recording), tools.max_events_bytes, files
            )
        put_tape, put_sidecar = await asyncio.gather(
            _put(tools, work.objects[ObjectKind.TAPE], tape),
            _put(tools, work.objects[ObjectKind.SIDECAR], sidecar),
        )
    await lifecycle.commit_processed(
        tools.db, work.claim, _processed(planned, batches, put_tape, put_sidecar)
    )


def claims_of(recording: Recording) -> Claims:
    """What the client said of a recording that was not processed yet."""
    return Claims(
        started_at_ms=recording.started_at.timestamp() * 1000,
        event_count=recording.event_count,
        duration_ms=recording.duration_ms,
        video=recording.has_video,
    )


async def _in_thread(
    compressed: list[list[bytes]], claims: Claims, max_bytes: int, files: ExitStack
) -> tuple[Plan, Spooled, Spooled]:
    """Plan in a thread, so that leases are renewed meanwhile. A cancelled job's thread ends after its current part."""
    stop = threading.Event()

    def work() -> tuple[Plan, Spooled, Spooled]:
        planned = plan(_draining(compressed), claims, max_bytes=max_bytes)
        tape = _spool(planned.tape(), stop, files)
        return planned, tape, _spool(planned.sidecar(), stop, files)

    planning = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await asyncio.shield(planning)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([planning])  # the files must not be closed under the thread
        raise


def _draining(compressed: list[list[bytes]]) -> Iterator[Iterable[bytes]]:
    """The batches, each let go of as soon as it was read."""
    while compressed:
        yield compressed.pop(0)


def _spool(parts: Iterator[bytes], stop: threading.Event, files: ExitStack) -> Spooled:
    file = files.enter_context(SpooledTemporaryFile(max_size=SPOOL_BYTES))  # noqa: SIM115  # the caller's stack closes it
    size, crc32c = 0, 0
    for part in parts:
        if stop.is_set():
            raise Stopped
        file.write(part)
        size += len(part)
        crc32c = google_crc32c.extend(crc32c, part)
    file.seek(0)
    return Spooled(cast("BinaryIO", file), size, crc32c)


async def _put(tools: Tools, name: str, spooled: Spooled) -> PutObject:
    stored = await tools.storage.put(
        name,
        spooled.file,
        size=spooled.size,
        crc32c=spooled.crc32c,
        content_type=CONTENT_TYPE,
        deadline_s=tools.put_deadline_s,
    )
    return PutObject(name, stored.size, stored.crc32c)


def _processed(planned: Plan, batches: Iterable[int], tape: PutObject, sidecar: PutObject) -> Processed:
    def json(value: Any) -> Any:
        return msgspec.to_builtins(value)

    return Processed(
        batches=list(batches),
        tape=tape,
        sidecar=sidecar,
        index=planned.index.encode(),
        account={**json(planned.account), "stored_bytes": tape.size},
        summary=json(planned.summary),
        warnings=json(planned.warnings),
        masked=planned.masked,
        playable=planned.playable,
        event_count=planned.event_count,
        duration_ms=planned.duration_ms,
        navigations=json(planned.navigations),
    )
