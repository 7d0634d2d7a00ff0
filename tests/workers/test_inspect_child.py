"""The child process of an inspection: what it holds, how it ends, and what is believed of it."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from storage.protocol import NotFound, Storage, Unavailable
from tests.storage.objects import new_name, put
from tests.workers.inspections import (
    MIB,
    child,
    childless,
    found,
    on_linux,
    recorded,
    with_child,
)
from workers.video.inspect import BadVideo, InspectionFailed, Limits, inspect
from workers.video.pipe import ANSWER, ANSWER_FRAME, READ, READ_FRAME


@on_linux
async def test_the_child_holds_nothing_but_its_pipes(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://not-a-secret-7@127.0.0.1/")
    environment, files, limits = "", dict[str, str](), dict[str, str]()

    async def look() -> None:
        nonlocal environment
        process = Path(f"/proc/{child().pid}")
        environment = (process / "environ").read_text()
        files.update((each.name, os.readlink(each)) for each in (process / "fd").iterdir())
        lines = (process / "limits").read_text().splitlines()[1:]
        limits.update((line[:26].strip(), line[26:47].strip()) for line in lines)

    await with_child(storage, look, Limits(memory_bytes=128 * MIB, cpu_s=7))
    assert "not-a-secret" not in environment
    assert sorted(files) == ["0", "1", "2"]
    assert files["2"] == os.devnull
    expected = {"Max open files": 0, "Max file size": 0, "Max core file size": 0, "Max processes": 0,
                "Max data size": 128 * MIB, "Max cpu time": 7}  # fmt: skip
    assert {name: int(limits[name]) for name in expected} == expected


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGXCPU])
async def test_a_video_on_which_the_demuxer_dies_is_unreadable(storage: Storage, number: int) -> None:
    async def kill() -> None:
        child().send_signal(number)

    with pytest.raises(BadVideo, match="The video is damaged"):
        await with_child(storage, kill)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_child_that_is_killed_from_outside_is_not_the_videos_fault(
    storage: Storage, number: int
) -> None:
    async def kill() -> None:
        child().send_signal(number)

    with pytest.raises(InspectionFailed):
        await with_child(storage, kill)


async def test_a_child_that_cannot_start_is_not_the_videos_fault(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with pytest.raises(InspectionFailed, match="after 0 reads"):
        await found(storage, recorded())


async def test_what_storage_raises_is_passed_on(storage: Storage) -> None:
    async def away() -> None:
        raise Unavailable("storage is away")

    with pytest.raises(Unavailable, match="storage is away"):
        await with_child(storage, away)
    with pytest.raises(NotFound):
        await inspect(storage, new_name(), size=1000)
    assert childless()


async def test_an_object_smaller_than_announced_is_not_the_videos_fault(storage: Storage) -> None:
    name = new_name("video")
    await put(storage, name, recorded())
    with pytest.raises(InspectionFailed, match="storage gave"):
        await inspect(storage, name, size=len(recorded()) + 1)


async def test_a_cancelled_inspection_leaves_no_process(storage: Storage) -> None:
    reading = asyncio.Event()

    async def stall() -> None:
        reading.set()
        await asyncio.Event().wait()

    inspection = asyncio.create_task(with_child(storage, stall))
    await reading.wait()
    process = child()
    inspection.cancel()
    with pytest.raises(asyncio.CancelledError):
        await inspection
    assert not process.is_running()


async def test_an_inspection_that_stalls_is_ended(storage: Storage) -> None:
    async def stall() -> None:
        await asyncio.Event().wait()

    with pytest.raises(InspectionFailed, match="no answer within"):
        await with_child(storage, stall, Limits(wall_s=0.5))
    assert childless()


def test_a_child_whose_parent_is_gone_leaves() -> None:
    command = [sys.executable, "-P", "-m", "workers.video.demux", "1000", "10", str(256 * MIB)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == READ
        process.communicate()  # closes its input, as the kernel does for a parent that was killed
    assert process.returncode == 0


FACTS = b'{"facts": {"duration_ms": 1, "container": "webm", "codecs": ["%s"], "has_audio": false}}'


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"X" * 1_000_000, id="noise"),
        pytest.param(READ + READ_FRAME.pack(900, 200), id="a read beyond the end"),
        pytest.param(READ + READ_FRAME.pack(0, 0), id="a read of nothing"),
        pytest.param(READ + READ_FRAME.pack(2**64 - 1, 2**32 - 1), id="a read of everything"),
        pytest.param(READ + b"\0\0", id="half a frame"),
        pytest.param(ANSWER + ANSWER_FRAME.pack(2**32 - 1), id="an endless answer"),
        pytest.param(ANSWER + ANSWER_FRAME.pack(2) + b"{}", id="an empty answer"),
        pytest.param(ANSWER + ANSWER_FRAME.pack(20) + b"{", id="half an answer"),
        pytest.param(ANSWER + ANSWER_FRAME.pack(len(FACTS)) + FACTS, id="a codec that is markup"),
    ],
)
async def test_a_hijacked_child_is_not_believed(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    (tmp_path / "said").write_bytes(said)
    hijacked = tmp_path / "hijacked"
    hijacked.write_text(f"#!/bin/sh\nexec /bin/cat {tmp_path}/said\n")
    hijacked.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hijacked))
    name = new_name("video")
    await put(storage, name, bytes(1000))
    with pytest.raises(InspectionFailed):
        await inspect(storage, name, size=1000)
