"""What an inspection finds in videos: recorded ones, cut ones, and ones made to hurt."""

import asyncio
import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.recording import FailureCode
from storage.protocol import NotFound, Storage, Unavailable
from tests.gcs_emulator import Emulator
from tests.storage.deck import open_for_test
from tests.storage.objects import new_name, put
from tests.workers import videos
from tests.workers.videos import VIDEOS, element, mp4_head, remuxed, webm_head
from workers.video.inspect import BadVideo, InspectionFailed, Limits, VideoFacts, inspect
from workers.video.pipe import ANSWER, ANSWER_FRAME, READ, READ_FRAME

MIB = 1024 * 1024
ORDINARY = Limits()
RECORDED = json.loads((VIDEOS / "manifest.json").read_text())
WITH_VIDEO = sorted(name for name, known in RECORDED.items() if known["asked"].startswith("video/"))
AUDIO_ONLY = sorted(RECORDED.keys() - set(WITH_VIDEO))
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


@pytest.fixture
def large(tmp_path: Path, storage: Storage) -> Path:
    """Where a file is the local storage's object `large`."""
    return tmp_path / "objects" / "large"


# What a browser records ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITH_VIDEO)
async def test_a_recorded_video_is_what_the_recorder_said(storage: Storage, name: str) -> None:
    known = RECORDED[name]
    facts = await found(storage, recorded(name))
    assert (facts.container, facts.codecs) == (known["container"], known["codecs"])
    assert facts.has_audio == (len(known["codecs"]) == 2)
    assert facts.duration_ms == pytest.approx(known["wall_ms"], abs=250)


@pytest.mark.parametrize("name", AUDIO_ONLY)
async def test_sound_alone_is_no_video(storage: Storage, name: str) -> None:
    assert "no video track" in await blamed(storage, recorded(name))


async def test_a_video_in_a_bucket_is_inspected_alike(storage: Storage, emulator: Emulator) -> None:
    bucket = open_for_test(emulator.storage_url, emulator_host=emulator.host)
    try:
        assert await found(bucket, recorded()) == await found(storage, recorded())
    finally:
        await bucket.close()


@pytest.mark.parametrize("form", ["webm", "matroska"])
async def test_a_duration_that_the_packets_bear_out_is_taken_from_the_head(
    storage: Storage, form: str
) -> None:
    facts = await found(storage, remuxed("vp9-opus.webm", form))
    assert facts.container == form
    assert facts.duration_ms == pytest.approx(5081 + 60, abs=10)  # the last packet of sound is shown too


@pytest.mark.parametrize("declared", [float("nan"), float("inf"), -1.0, 0.0, 1e300, 5.0, 3.6e6])
async def test_a_duration_that_the_packets_do_not_bear_out_is_ignored(
    storage: Storage, declared: float
) -> None:
    info = element(videos.DURATION, struct.pack(">d", declared))
    clusters = [videos.cluster(second * 1000, videos.block()) for second in range(4)]
    facts = await found(storage, webm_head(info=info) + b"".join(clusters))
    assert facts.duration_ms == 3000


async def test_an_mp4_in_one_piece_has_its_duration_in_its_head(storage: Storage) -> None:
    for data in (remuxed("h264-opus.mp4", "mp4"), remuxed("h264-opus.mp4", "mp4", movflags="faststart")):
        facts = await found(storage, data)
        assert (facts.container, facts.codecs) == ("mp4", ["h264", "opus"])
        assert facts.duration_ms == pytest.approx(3036, abs=50)


async def test_the_video_codec_comes_first_and_each_once(storage: Storage) -> None:
    tracks = [
        videos.track(1, codec=b"A_OPUS", kind=2),
        videos.track(2, codec=b"A_OPUS", kind=2),
        videos.track(3),
    ]
    data = webm_head(tracks=tracks) + videos.cluster(0, videos.block(number=1), videos.block(number=3))
    assert (await found(storage, data)).codecs == ["vp9", "opus"]


async def test_a_single_frame_is_a_video(storage: Storage) -> None:
    assert (await found(storage, webm_head() + videos.cluster(0, videos.block()))).duration_ms == 0


async def test_what_does_not_begin_at_zero_is_counted_from_its_beginning(storage: Storage) -> None:
    data = webm_head() + b"".join(videos.cluster(at, videos.block()) for at in (500_000, 503_000))
    assert (await found(storage, data)).duration_ms == 3000


async def test_times_beyond_belief_are_unknown(storage: Storage) -> None:
    data = webm_head() + videos.cluster(0, videos.block()) + videos.cluster(2**62, videos.block())
    assert (await found(storage, data)).duration_ms is None


# Long ones -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "ends_s"), [(videos.long_webm, 1999), (videos.long_mp4, 2000)])
async def test_a_video_of_more_than_a_gibibyte_costs_a_few_reads(
    storage: Storage, large: Path, make: Callable[..., None], ends_s: int
) -> None:
    make(large, seconds=2000, frame_bytes=600_000)
    size = large.stat().st_size
    assert size > 2**30
    watched = Watched(storage)
    facts = await inspect(watched, "large", size=size)
    assert facts.duration_ms == ends_s * 1000
    assert watched.bytes < 8 * MIB


@on_linux
async def test_a_long_video_needs_little_memory(storage: Storage, large: Path) -> None:
    peaks = []

    async def look() -> None:
        status = Path(f"/proc/{child().pid}/status").read_text()
        peaks.append(int(status.split("VmHWM:")[1].split()[0]) * 1024)

    videos.long_webm(large, seconds=300, frame_bytes=4 * MIB)
    await inspect(Watched(storage, look), "large", size=large.stat().st_size)
    assert max(peaks) < 80 * MIB


# What is cut short ---------------------------------------------------------------------------------------------------


async def test_a_webm_that_was_cut_is_as_long_as_what_is_there(storage: Storage) -> None:
    whole = recorded("vp9-opus.webm")
    lengths = [(await found(storage, whole[: len(whole) * part // 10])).duration_ms for part in (3, 6, 9, 10)]
    assert lengths == sorted(set(lengths))
    assert lengths[1] == pytest.approx(5081 * 0.6, abs=700)


async def test_a_fragmented_mp4_that_was_cut_is_as_long_as_what_is_there(storage: Storage) -> None:
    cut = mp4_head() + b"".join(
        videos.moof(n + 1, n * 30_000, 30_000, 100) + videos.box(b"mdat", bytes(100)) for n in range(8)
    )
    assert (await found(storage, cut[:-50])).duration_ms == 7000


async def test_an_mp4_in_one_piece_that_was_cut_is_as_long_as_what_is_there(storage: Storage) -> None:
    whole = remuxed("h264-opus.mp4", "mp4", movflags="faststart")
    facts = await found(storage, whole[: len(whole) * 6 // 10])
    assert facts.duration_ms is not None
    assert 1000 < facts.duration_ms < 2500


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(remuxed("h264-opus.mp4", "mp4")[:-2000], id="an mp4 whose head would have come last"),
        pytest.param(mp4_head()[:-100], id="an mp4's head, cut"),
        pytest.param(webm_head()[:60], id="a webm's head, cut"),
        pytest.param(webm_head(), id="a webm's head alone"),
        pytest.param(recorded()[:8], id="eight bytes"),
    ],
)
async def test_a_head_that_is_cut_cannot_be_read(storage: Storage, data: bytes) -> None:
    assert "cut short" in await blamed(storage, data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(webm_head() + videos.cluster(0), id="an empty cluster"),
        pytest.param(webm_head() + videos.cluster(0, videos.block(number=9)), id="a frame of no track"),
        pytest.param(mp4_head(), id="an mp4's head alone"),
    ],
)
async def test_a_video_without_a_frame_is_none(storage: Storage, data: bytes) -> None:
    assert "frame" in await blamed(storage, data)


# What is no video ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "an HTML page"),
        (b"\n  <html>", "an HTML page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "an XML document"),
        (b'{"error": "expired"}', "JSON text"),
        (b"undefined", "text"),
        ("größer".encode() * 200, "text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "a PNG image"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "a JPEG image"),
        (b"GIF89a" + bytes(100), "a GIF image"),
        (b"RIFF\0\0\1\0AVI LIST" + bytes(100), "an AVI video"),
        (videos.box(b"ftyp", b"avif\0\0\0\0") + bytes(100), "an AVIF or HEIC image"),
        (bytes(4000), "a row of zero bytes"),
        (bytes(range(256)) * 4, "a file of an unknown kind"),
    ],
)
async def test_what_is_no_video_is_called_by_its_name(storage: Storage, data: bytes, name: str) -> None:
    if data:
        assert name in await blamed(storage, data)
    else:
        with pytest.raises(BadVideo, match=r"The video is empty\."):
            await inspect(storage, "nothing is read", size=0)


# What is made to hurt ------------------------------------------------------------------------------------------------

FRAME = videos.cluster(0, videos.block())
TAG = element(videos.TAG, videos.small(videos.SIMPLE_TAG, videos.small(videos.TAG_NAME, b"a")) * 1000)
FTYP = videos.box(b"ftyp", b"isom\0\0\0\0")


def many_names(count: int) -> bytes:
    """Tags that each have a name of their own, which FFmpeg compares one by one."""
    named = (
        videos.small(videos.TAG_NAME, b"%d" % n) + videos.small(videos.TAG_TEXT, b"x") for n in range(count)
    )
    tag = element(videos.TAG, *(videos.small(videos.SIMPLE_TAG, each) for each in named))
    return webm_head(element(videos.TAGS, tag)) + FRAME


HOSTILE = {
    "a codec's private data of 2^56 bytes": webm_head(tracks=[videos.track(1, element(videos.PRIVATE, size=videos.HUGE))]) + FRAME,
    "a cluster of 2^56 bytes": webm_head() + videos.cluster(0, videos.block(), size=videos.HUGE),
    "a block of 2^56 bytes": webm_head() + videos.cluster(0, videos.block(size=videos.HUGE), size=videos.HUGE),
    "a void of 2^56 bytes": webm_head(element(videos.VOID, size=videos.HUGE)) + FRAME,
    "an EBML head of 2^56 bytes": element(videos.EBML, videos.small(videos.DOC_TYPE, b"webm"), size=videos.HUGE) + FRAME,
    "tags in tags in tags": webm_head(element(videos.TAGS, element(videos.TAG, (videos.SIMPLE_TAG + videos.ENDLESS) * 100_000))) + FRAME,
    "segments in segments": videos.small(videos.EBML, videos.small(videos.DOC_TYPE, b"webm")) + (videos.SEGMENT + videos.ENDLESS) * 100_000,
    "a flood of tags": webm_head(element(videos.TAGS, TAG * 200)) + FRAME,
    "a flood of tracks": webm_head(tracks=[videos.track(1)] * 20_000) + FRAME,
    "a flood of cues": webm_head(element(videos.CUES, videos.small(videos.CUE, videos.small(videos.CUE_TIME, b"\1")) * 200_000)) + FRAME,
    "a flood of clusters": webm_head() + FRAME + videos.small(videos.CLUSTER, videos.small(videos.TIME, b"\1")) * 200_000,
    "a flood of blocks": webm_head() + FRAME + videos.small(videos.BLOCK, b"\x81\0\0\x80x") * 50_000,
    "four milliards of frames in a run": mp4_head() + videos.moof(1, 0, 1, 1, count=2**32 - 1) + videos.box(b"mdat", bytes(99)),
    "millions of frames in a run": mp4_head() + videos.moof(1, 0, 1, 1, count=5_000_000) + videos.box(b"mdat", bytes(99)),
    "a flood of boxes": mp4_head() + videos.box(b"free") * 200_000,
    "boxes in boxes": FTYP + b"".join(videos.box(b"moov", size=2**31 - 8 * n) for n in range(100_000)),
    "a table of four milliards": mp4_head().replace(b"stsz" + bytes(12), b"stsz" + bytes(4) + b"\0\0\0\1" + b"\xff" * 4) + videos.box(b"mdat", bytes(99)),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_file_made_to_hurt_is_judged_like_any_other(storage: Storage, kind: str) -> None:
    facts = await found_or_blamed(storage, HOSTILE[kind])
    assert facts is None or facts.codecs == ["vp9"]


async def test_a_video_that_takes_too_long_is_unreadable(storage: Storage) -> None:
    assert "too long" in await blamed(storage, many_names(150_000), Limits(cpu_s=1))


async def test_a_video_that_takes_too_much_memory_is_unreadable(storage: Storage) -> None:
    data = webm_head(element(videos.TAGS, TAG * 500)) + FRAME
    assert "too much memory" in await blamed(storage, data, Limits(memory_bytes=48 * MIB))


async def test_a_video_that_takes_too_many_reads_is_unreadable(storage: Storage, large: Path) -> None:
    large.write_bytes(webm_head())
    os.truncate(large, 2**30)
    with pytest.raises(BadVideo, match="8 MiB of it were not enough"):
        await inspect(storage, "large", size=2**30, limits=Limits(reads=8))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_a_damaged_video_is_a_video_or_a_bad_one(storage: Storage, data: st.DataObject) -> None:
    damaged = bytearray(recorded(data.draw(st.sampled_from(WITH_VIDEO))))
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(damaged) - 1) | st.integers(0, min(600, len(damaged) - 1)))
        to = data.draw(st.integers(at, min(at + 64, len(damaged))) | st.just(len(damaged)))
        damaged[at:to] = data.draw(st.binary(max_size=16) | st.just(b"\xff" * 8))
        damaged = damaged or bytearray(1)
    await found_or_blamed(storage, bytes(damaged))


# The child -----------------------------------------------------------------------------------------------------------


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
    expected = {"Max open files": 3, "Max file size": 0, "Max core file size": 0, "Max processes": 0,
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
