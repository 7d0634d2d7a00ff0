"""Storage from this side: does what is put come back as it was, and is there room?"""

import asyncio
import io
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import NamedTuple

import google_crc32c

from app.doctor.findings import Finding, Findings, fail, line, ok, place, warn
from storage.configuration import Disk, disk
from storage.protocol import Refused, Storage, StorageError

SIZE = 100_000
DEADLINE_S = 10
TIDY_S = 5
MIB = 1024 * 1024
LITTLE_ROOM_SHARE = 0.1
LEAST_ROOM = 1024 * MIB


class _Wrong(Exception):
    """Storage did something else than it said."""


@asynccontextmanager
async def fresh_names(storage: Storage, count: int) -> AsyncIterator[list[str]]:
    """Names that nobody else has; nothing is left of them."""
    folder = uuid.uuid4()
    names = [f"doctor/{folder}/{number}" for number in range(count)]
    try:
        yield names
    finally:
        with suppress(StorageError, TimeoutError):
            async with asyncio.timeout(TIDY_S):
                for name in names:
                    await storage.delete(name)


async def round_trip(storage: Storage, url: str) -> Findings:
    """One object's whole life."""
    times = _Times()
    try:
        async with fresh_names(storage, 2) as (name, other):
            await _live(storage, name, other, times)
        yield ok("storage", f"{place(url)}: {times}")
    except (StorageError, _Wrong) as error:
        doing = f" while trying to {times.step}" if times.step else ""
        yield fail("storage", f"{place(url)}: {line(error)}{doing}; {_advice(error, url)}")


class _Times:
    """How long each step took, and which one is under way."""

    def __init__(self) -> None:
        self.step = ""
        self._took: list[str] = []

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        self.step = step
        started = time.perf_counter()
        yield
        self._took.append(f"{step} {(time.perf_counter() - started) * 1000:.0f} ms")
        self.step = ""

    def __str__(self) -> str:
        return ", ".join(self._took)


async def _live(storage: Storage, name: str, other: str, times: _Times) -> None:
    data = secrets.token_bytes(SIZE)
    crc32c = google_crc32c.value(data)
    with times("put"):
        stored = await storage.put(
            name, io.BytesIO(data), size=SIZE, crc32c=crc32c,
            content_type="application/octet-stream", deadline_s=DEADLINE_S,
        )  # fmt: skip
    with times("stat"):
        _insist(await storage.stat(name) == stored, "stat tells of another object than put")
    with times("read"):
        _insist(await _read(storage, name) == data, "other bytes came back than were put")
    with times("read a range"):
        _insist(await _read(storage, name, 1000, 2000) == data[1000:2000], "a range has other bytes")
    with times("copy"):
        copied = await storage.copy(name, other, generation=stored.generation, deadline_s=DEADLINE_S)
        _insist((copied.size, copied.crc32c) == (SIZE, crc32c), "a copy has other bytes")
    with times("delete"):
        gone = [await storage.delete(name), await storage.delete(other)]
        _insist(gone == [True, True] and await storage.stat(name) is None, "what was deleted is still there")


async def _read(storage: Storage, name: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in storage.read(name, start, end)])


def _insist(holds: bool, otherwise: str) -> None:
    if not holds:
        raise _Wrong(otherwise)


def _advice(error: Exception, url: str) -> str:
    if isinstance(error, _Wrong):
        return "do not use this storage: something rewrites what passes"
    if not isinstance(error, Refused):
        return "see whether it is up and can be reached, or correct STORAGE_URL"
    if url.startswith("gs:"):
        return "correct STORAGE_URL, or give the account roles/storage.objectUser on the bucket"
    return "see who owns the folder and what its mode is"


class Ground(NamedTuple):
    """What a local storage stands on; for another one there is nothing to find."""

    finding: Finding | None
    may_be_opened: bool


def ground(url: str) -> Ground:
    """Whether the folder is there, was used before and has room. May block on a sick disk."""
    try:
        found = disk(url)
    except OSError as error:
        says = f"{place(url)}: {error.strerror}: make the folder, mount its disk, or correct STORAGE_URL"
        return Ground(fail("disk", says), may_be_opened=False)
    if found is None:
        return Ground(None, may_be_opened=True)
    if not found.is_in_use:
        says = f"{found.root} was never used: right before the first start, else its disk is not mounted"
        return Ground(warn("disk", says), may_be_opened=False)
    return Ground(_of_room(found), may_be_opened=True)


def _of_room(found: Disk) -> Finding:
    says = f"{found.free // MIB} of {found.total // MIB} MiB are free at {found.root}"
    if found.free < LEAST_ROOM:
        return fail("disk", f"{says}: make room")
    if found.free < found.total * LITTLE_ROOM_SHARE:
        return warn("disk", f"{says}: make room soon")
    return ok("disk", says)
