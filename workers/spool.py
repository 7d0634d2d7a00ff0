"""Objects on their way to storage: made in a thread, held in memory or in temporary files, then put."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, Self, TypeVar, cast

import google_crc32c

from models import ledger
from models.lifecycle import Work
from models.object import ObjectKind, PutObject
from workers.tools import Tools

SPOOL_BYTES = 4 * 1024 * 1024
CONTENT_TYPE = "application/json"

T = TypeVar("T")


class Stopped(Exception):
    """The job was cancelled while a thread worked for it; nobody but that thread sees it."""


class Spool:
    """The objects of one claim, until they are put. Use as a context manager."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._files = ExitStack()
        self._spooled: list[tuple[PutObject, BinaryIO]] = []
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    async def in_thread(self, make: Callable[[], T]) -> T:
        """What `make` returns, made in a thread, so that leases are renewed meanwhile.

        A cancelled job's thread ends with the next part that it reads `until_stopped`, and is waited for.
        """
        running = asyncio.create_task(asyncio.to_thread(make))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            self._stop.set()
            # Its files must not be closed under it, however often the job is cancelled.
            while not running.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([running])
            running.exception()  # seen: it was stopped
            raise

    def until_stopped(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        """The parts, for as long as the job goes on. For the thread. Raises Stopped."""
        for part in parts:
            if self._stop.is_set():
                raise Stopped
            yield part

    def add(self, kind: ObjectKind, parts: Iterable[bytes]) -> PutObject:
        """Hold an object's bytes; returns what storage must report of it. For the thread. Raises Stopped."""
        file = self._files.enter_context(SpooledTemporaryFile(max_size=SPOOL_BYTES))  # noqa: SIM115  # the stack closes it
        size, crc32c = 0, 0
        for part in self.until_stopped(parts):
            file.write(part)
            size += len(part)
            crc32c = google_crc32c.extend(crc32c, part)
        file.seek(0)
        made = PutObject(self._work.objects[kind], size, crc32c)
        self._spooled.append((made, cast("BinaryIO", file)))
        return made

    async def put(self, tools: Tools) -> None:
        """Put what is held; storage checks size and CRC32C, and refuses what differs. Raises ClaimLost.

        A process that froze on its way here must not put what was swept meanwhile: nobody would ever delete it.
        """
        began = time.monotonic()
        await ledger.check(tools.db, self._work.claim)
        left_s = tools.put_deadline_s - (time.monotonic() - began)
        await asyncio.gather(*(_put(tools, made, file, deadline_s=left_s) for made, file in self._spooled))


async def _put(tools: Tools, made: PutObject, file: BinaryIO, *, deadline_s: float) -> None:
    with tools.traces.span("storage put", "CLIENT", tapedeck__object=made.name, tapedeck__size=made.size):
        await tools.storage.put(
            made.name,
            file,
            size=made.size,
            crc32c=made.crc32c,
            content_type=CONTENT_TYPE,
            deadline_s=deadline_s,
        )
