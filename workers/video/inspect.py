"""Looks into a video that anybody may have sent: which container and codecs, is there sound, how long is it.

The video is demuxed (never decoded) by a child process, `workers.video.demux`. All the child has is a pipe to here
(`workers.video.pipe` specifies what is said there): no credentials, no files, no network, little memory, little time.
It asks for a few ranges of the object, in whichever size the object may have, and this side reads them from storage.

Whose fault it is when the child dies decides what becomes of the recording:

| the child | means |
|---|---|
| runs out of processor time, memory or reads; crashes (SIGSEGV, SIGABRT, …) after its first read | BadVideo: the video will do it again |
| is killed from outside, never got to read, hangs, breaks its protocol | InspectionFailed: try again |
| waits while storage fails | what storage raised, unchanged |

Several at once are safe, but each may take `Limits.memory_bytes` and a processor: callers bound how many.
"""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import aclosing
from dataclasses import dataclass

import msgspec

from models.recording import FailureCode
from storage.protocol import Storage
from workers.video.pipe import (
    ANSWER,
    ANSWER_BYTES,
    ANSWER_FRAME,
    BLOCK_BYTES,
    EXIT_NO_MEMORY,
    READ,
    READ_FRAME,
    Answer,
    VideoFacts,
)

__all__ = ["BadVideo", "InspectionFailed", "Limits", "VideoFacts", "inspect"]

# All that the child gets of the environment: where Python and its modules are.
MODULE_PATHS = ("PATH", "PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGTRAP})


class BadVideo(Exception):
    """The video is at fault, and would be again. `message` is one sentence for the recording's owner."""

    def __init__(self, message: str, code: FailureCode = FailureCode.VIDEO_UNREADABLE) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class InspectionFailed(Exception):
    """The inspection broke down, and the video need not be the reason; a later one may succeed."""


@dataclass(frozen=True)
class Limits:
    """What one inspection may take. A browser's video takes 0.3 s, 40 MiB and some 5 reads, however long it is.

    A read is at most BLOCK_BYTES (1 MiB). `wall_s` is for a machine or a storage that is slow, so it ends in
    InspectionFailed: a video can waste nothing but processor time, memory and reads.
    """

    reads: int = 256
    cpu_s: int = 10
    memory_bytes: int = 256 * 1024 * 1024
    wall_s: float = 300


async def inspect(storage: Storage, name: str, *, size: int, limits: Limits = Limits()) -> VideoFacts:
    """Inspect the object of that name and size (bytes), which nobody may replace meanwhile.

    Raises BadVideo, InspectionFailed, and what storage raises. Cancelling it ends the child at once.
    """
    if size == 0:
        raise BadVideo("The video is empty.")
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # whatever lies in the working directory is not ours
        "-m",
        "workers.video.demux",
        str(size),
        str(limits.cpu_s),
        str(limits.memory_bytes),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        env={path: os.environ[path] for path in MODULE_PATHS if path in os.environ},
    )
    try:
        async with asyncio.timeout(limits.wall_s) as timeout:
            answer = await _Conversation(child, storage, name, size).hold(limits.reads)
    except TimeoutError:
        if timeout.expired():
            raise InspectionFailed(f"no answer within {limits.wall_s:g} s") from None
        raise
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.communicate()  # to its end: a full pipe would hide that the process is gone
    if answer.facts:
        return answer.facts
    if answer.bad:
        raise BadVideo(answer.bad)
    raise InspectionFailed(answer.fault or "an empty answer")


class _Conversation:
    """Serves one child until it answers or dies."""

    def __init__(self, child: Process, storage: Storage, name: str, size: int) -> None:
        assert child.stdin is not None  # noqa: S101  # PIPE was asked for
        assert child.stdout is not None  # noqa: S101
        self._child, self._in, self._out = child, child.stdin, child.stdout
        self._storage, self._name, self._size = storage, name, size

    async def hold(self, reads: int) -> Answer:
        served = 0
        while True:
            try:
                said = await self._out.readexactly(1)
                if said == ANSWER:
                    return await self._answer()
                if said != READ:
                    raise InspectionFailed(f"the child said {said!r}")
                offset, length = READ_FRAME.unpack(await self._out.readexactly(READ_FRAME.size))
            except asyncio.IncompleteReadError:
                raise _death(await self._child.wait(), served) from None
            if served == reads:
                raise BadVideo(
                    f"The video is damaged: {reads * BLOCK_BYTES >> 20} MiB of it were not enough to understand it."
                )
            data = await self._read(offset, length)
            served += 1
            with contextlib.suppress(ConnectionError):  # it died: the next read tells how
                self._in.write(data)
                await self._in.drain()

    async def _read(self, offset: int, length: int) -> bytes:
        end = offset + length
        if not 0 < length <= BLOCK_BYTES or end > self._size:
            raise InspectionFailed(f"the child asked for the bytes {offset}..{end} of {self._size}")
        async with aclosing(self._storage.read(self._name, offset, end)) as pieces:
            data = b"".join([piece async for piece in pieces])
        if len(data) != length:
            raise InspectionFailed(f"storage gave {len(data)} bytes for {offset}..{end} of {self._size}")
        return data

    async def _answer(self) -> Answer:
        (length,) = ANSWER_FRAME.unpack(await self._out.readexactly(ANSWER_FRAME.size))
        if length > ANSWER_BYTES:
            raise InspectionFailed(f"the child's answer is {length} bytes long")
        try:
            return msgspec.json.decode(await self._out.readexactly(length), type=Answer)
        except msgspec.DecodeError as error:
            raise InspectionFailed(f"the child's answer is no answer: {error}") from error


def _death(code: int, served: int) -> Exception:
    """What it means that the child died with this exit code (negative: by a signal) after so many reads."""
    if served:
        if code == -signal.SIGXCPU:
            return BadVideo("The video is damaged: it takes too long to understand.")
        if code == EXIT_NO_MEMORY:
            return BadVideo("The video is damaged: it takes too much memory to understand.")
        if -code in CRASHES:
            return BadVideo("The video is damaged: it cannot be taken apart.")
    return InspectionFailed(f"the child ended with {code} after {served} reads")
