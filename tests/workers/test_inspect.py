"""What an inspection finds in videos: recorded ones, long ones, cut ones, and files that are none."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.protocol import Storage
from tests.gcs_emulator import Emulator
from tests.storage.deck import open_for_test
from tests.workers import videos
from tests.workers.inspections import (
    MIB,
    RECORDED,
    WITH_VIDEO,
    Watched,
    blamed,
    child,
    found,
    on_linux,
    recorded,
)
from tests.workers.videos import element, mp4_head, remuxed, webm_head
from workers.video.inspect import BadVideo, inspect

AUDIO_ONLY = sorted(RECORDED.keys() - set(WITH_VIDEO))


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
