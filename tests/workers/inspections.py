"""Inspections as the tests hold them: of bytes that were just put, watched, and interrupted."""

import json
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable

import psutil
import pytest

from models.recording import FailureCode
from storage.protocol import Storage
from tests.storage.objects import new_name, put
from tests.workers.videos import VIDEOS
from workers.video.inspect import BadVideo, Limits, VideoFacts, inspect

MIB = 1024 * 1024
ORDINARY = Limits()
RECORDED = json.loads((VIDEOS / "manifest.json").read_text())
WITH_VIDEO = sorted(name for name, known in RECORDED.items() if known["asked"].startswith("video/"))
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


class Watched:
    """A storage that counts what is read, and calls `on_read` before each read."""

    def __init__(self, storage: Storage, on_read: Callable[[], Awaitable[None]] | None = None) -> None:
        self.bytes = 0
        self._storage = storage
        self._on_read = on_read

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        if self._on_read:
            await self._on_read()
        async for piece in self._storage.read(name, start, end):
            self.bytes += len(piece)
            yield piece


async def found(storage: Storage, data: bytes, limits: Limits = ORDINARY) -> VideoFacts:
    """What the inspection of these bytes gives."""
    name = new_name("video")
    await put(storage, name, data)
    return await inspect(storage, name, size=len(data), limits=limits)


async def blamed(storage: Storage, data: bytes, limits: Limits = ORDINARY) -> str:
    """What the inspection of these bytes says against them, in one sentence."""
    with pytest.raises(BadVideo) as caught:
        await found(storage, data, limits)
    assert caught.value.code is FailureCode.VIDEO_UNREADABLE
    message = caught.value.message
    assert message.startswith(("The ", "It ")), message
    assert message.endswith("."), message
    return message


async def found_or_blamed(storage: Storage, data: bytes) -> VideoFacts | None:
    """The facts, or None when the video is at fault. Nothing else may happen."""
    try:
        return await found(storage, data)
    except BadVideo:
        return None


def recorded(name: str = "vp9-opus.webm") -> bytes:
    return (VIDEOS / name).read_bytes()


def child() -> psutil.Process:
    """The one process that inspects."""
    (found,) = [each for each in psutil.Process().children() if "workers.video.demux" in each.cmdline()]
    return found


def childless() -> bool:
    return not any("workers.video.demux" in each.cmdline() for each in psutil.Process().children())


async def with_child(
    storage: Storage, on_read: Callable[[], Awaitable[None]], limits: Limits = ORDINARY
) -> VideoFacts:
    """Inspect a video; `on_read` is called while the child waits for its bytes."""
    name = new_name("video")
    await put(storage, name, recorded())
    return await inspect(Watched(storage, on_read), name, size=len(recorded()), limits=limits)
