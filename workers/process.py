"""The job `process`: a payload becomes a tape and a sidecar.

Load the payload, plan purely, put both objects, then commit everything at once.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

import google_crc32c
import msgspec

from models import ledger, lifecycle, payload, queries
from models.ledger import ClaimLost
from models.lifecycle import Processed, Work
from models.object import ObjectKind, PutObject
from models.recording import Recording
from replay.plan import BadRecording, Claims, plan
from workers.tools import Tools

SPOOL_BYTES = 4 * 1024 * 1024
CONTENT_TYPE = "application/json"


class Stopped(Exception):
    """The job was cancelled while a thread planned for it; nobody but that thread sees it."""


@dataclass(frozen=True)
class Spooled:
    """An object ready to be put: its bytes in memory or in a temporary file, and what storage must report of them."""

    object: PutObject
    file: BinaryIO


async def process(work: Work, tools: Tools) -> None:
    """Run the job. Raises BadRecording, ClaimLost, NoTurn, and what database and storage raise."""
    recording = await queries.any_recording(tools.db, work.claim.recording_id)
    if recording is None:
        raise ClaimLost
    batches = await payload.batches(tools.db, recording.id)
    if not batches:
        raise BadRecording("payload_unreadable", "The payload is gone.")
    with ExitStack() as files:
        async with tools.turn(tools.planning):
            compressed = {n: [c async for c in payload.chunks(tools.db, recording.id, n)] for n in batches}
            processed, spooled = await _in_thread(
                _Planning(work, compressed, _claims(recording), tools, files)
            )
        await _put(tools, work, spooled)
    await lifecycle.commit_processed(tools.db, work.claim, processed)


def _claims(recording: Recording) -> Claims:
    return Claims(
        event_count=recording.event_count,
        duration_ms=recording.duration_ms,
        video=recording.has_video,
    )


async def _in_thread(planning: "_Planning") -> tuple[Processed, list[Spooled]]:
    """Plan in a thread, so that leases are renewed meanwhile. A cancelled job's thread ends after its current part."""
    running = asyncio.create_task(asyncio.to_thread(planning.run))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        planning.stop.set()
        while not running.done():  # its files must not be closed under it, however often the job is cancelled
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        running.exception()  # seen: it was stopped
        raise


class _Planning:
    """What happens in the thread: everything that holds the whole recording, gone when it returns."""

    def __init__(
        self, work: Work, compressed: dict[int, list[bytes]], claims: Claims, tools: Tools, files: ExitStack
    ) -> None:
        self.stop = threading.Event()
        self._work = work
        self._compressed = compressed
        self._claims = claims
        self._max_bytes = tools.max_events_bytes
        self._files = files

    def run(self) -> tuple[Processed, list[Spooled]]:
        batches = list(self._compressed)
        planned = plan(self._draining(), self._claims, max_bytes=self._max_bytes)
        tape = self._spool(ObjectKind.TAPE, planned.tape())
        sidecar = self._spool(ObjectKind.SIDECAR, planned.sidecar())
        processed = Processed(
            batches=batches,
            tape=tape.object,
            sidecar=sidecar.object,
            index=planned.index.encode(),
            account={**msgspec.to_builtins(planned.account), "stored_bytes": tape.object.size},
            summary=msgspec.to_builtins(planned.summary),
            warnings=msgspec.to_builtins(planned.warnings),
            masked=planned.masked,
            playable=planned.playable,
            event_count=planned.event_count,
            duration_ms=planned.duration_ms,
            navigations=msgspec.to_builtins(planned.navigations),
        )
        return processed, [tape, sidecar]

    def _draining(self) -> Iterator[Iterable[bytes]]:
        """The batches, each let go of as soon as it was read."""
        for number in list(self._compressed):
            yield self._until_stopped(self._compressed.pop(number))

    def _until_stopped(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        for part in parts:
            if self.stop.is_set():
                raise Stopped
            yield part

    def _spool(self, kind: ObjectKind, parts: Iterator[bytes]) -> Spooled:
        file = self._files.enter_context(SpooledTemporaryFile(max_size=SPOOL_BYTES))  # noqa: SIM115  # the job's stack closes it
        size, crc32c = 0, 0
        for part in self._until_stopped(parts):
            file.write(part)
            size += len(part)
            crc32c = google_crc32c.extend(crc32c, part)
        file.seek(0)
        return Spooled(PutObject(self._work.objects[kind], size, crc32c), cast("BinaryIO", file))


async def _put(tools: Tools, work: Work, spooled: list[Spooled]) -> None:
    """Put the objects; storage checks size and CRC32C, and refuses what differs.

    A process that froze on its way here must not put what was swept meanwhile: nobody would ever delete it.
    """
    began = time.monotonic()
    await ledger.check(tools.db, work.claim)
    left_s = tools.put_deadline_s - (time.monotonic() - began)
    await asyncio.gather(
        *(
            tools.storage.put(
                each.object.name,
                each.file,
                size=each.object.size,
                crc32c=each.object.crc32c,
                content_type=CONTENT_TYPE,
                deadline_s=left_s,
            )
            for each in spooled
        )
    )
