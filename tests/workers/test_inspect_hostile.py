"""What an inspection makes of files that are damaged, or made to hurt."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.protocol import Storage
from tests.workers import videos
from tests.workers.inspections import MIB, WITH_VIDEO, blamed, found_or_blamed, recorded
from tests.workers.videos import element, mp4_head, webm_head
from workers.video.inspect import BadVideo, Limits, inspect

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


async def test_a_video_that_takes_too_many_reads_is_unreadable(storage: Storage, tmp_path: Path) -> None:
    large = tmp_path / "objects" / "large"
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
