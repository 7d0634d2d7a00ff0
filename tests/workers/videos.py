"""Videos that no browser sends, and some that are too long to keep: made when a test needs them."""

import io
import struct
import tempfile
from collections.abc import Iterable
from pathlib import Path

import av

VIDEOS = Path(__file__).parents[1] / "fixtures" / "videos"

# WebM ----------------------------------------------------------------------------------------------------------------

EBML, DOC_TYPE = b"\x1a\x45\xdf\xa3", b"\x42\x82"
SEGMENT, INFO, SCALE, DURATION = b"\x18\x53\x80\x67", b"\x15\x49\xa9\x66", b"\x2a\xd7\xb1", b"\x44\x89"
TRACKS, TRACK, NUMBER, UID, TYPE = b"\x16\x54\xae\x6b", b"\xae", b"\xd7", b"\x73\xc5", b"\x83"
CODEC, PRIVATE = b"\x86", b"\x63\xa2"
VIDEO, WIDTH, HEIGHT = b"\xe0", b"\xb0", b"\xba"
CLUSTER, TIME, BLOCK = b"\x1f\x43\xb6\x75", b"\xe7", b"\xa3"
CUES, CUE, CUE_TIME = b"\x1c\x53\xbb\x6b", b"\xbb", b"\xb3"
TAGS, TAG, SIMPLE_TAG, TAG_NAME, TAG_TEXT = (
    b"\x12\x54\xc3\x67",
    b"\x73\x73",
    b"\x67\xc8",
    b"\x45\xa3",
    b"\x44\x87",
)
CHAPTERS, EDITION, CHAPTER = b"\x10\x43\xa7\x70", b"\x45\xb9", b"\xb6"
ATTACHMENTS, ATTACHED, FILE_NAME, FILE_TYPE, FILE_DATA = b"\x19\x41\xa4\x69", b"\x61\xa7", b"\x46\x6e", b"\x46\x60", b"\x46\x5c"  # fmt: skip
VOID = b"\xec"
ENDLESS = b"\x01\xff\xff\xff\xff\xff\xff\xff"
HUGE = 2**56 - 2


def element(kind: bytes, *body: bytes, size: int | None = None) -> bytes:
    """An EBML element; `size` is a lie about its length."""
    content = b"".join(body)
    length = len(content) if size is None else size
    return kind + (length | 1 << 56).to_bytes(8, "big") + content


def small(kind: bytes, body: bytes) -> bytes:
    """An EBML element with the shortest header that there is."""
    return kind + bytes([0x80 | len(body)]) + body


def track(number: int, *more: bytes, codec: bytes = b"V_VP9", kind: int = 1) -> bytes:
    size = element(VIDEO, element(WIDTH, b"\xa0"), element(HEIGHT, b"\x78"))
    return element(TRACK, element(NUMBER, bytes([number])), element(UID, bytes([number])),
                   element(TYPE, bytes([kind])), element(CODEC, codec), size if kind == 1 else b"", *more)  # fmt: skip


def cluster(at_ms: int, *blocks: bytes, size: int | None = None) -> bytes:
    return element(CLUSTER, small(TIME, at_ms.to_bytes(8, "big")), *blocks, size=size)


def block(after_ms: int = 0, frame: bytes = b"frame", number: int = 1, size: int | None = None) -> bytes:
    return element(BLOCK, bytes([0x80 | number]), struct.pack(">hB", after_ms, 0x80), frame, size=size)


def webm_head(*more: bytes, tracks: Iterable[bytes] = (track(1),), info: bytes = b"", doc_type: bytes = b"webm") -> bytes:  # fmt: skip
    """What MediaRecorder writes before the first cluster; the segment never ends."""
    scale = element(SCALE, (1_000_000).to_bytes(4, "big"))
    return (small(EBML, small(DOC_TYPE, doc_type)) + SEGMENT + ENDLESS + element(INFO, scale, info)
            + b"".join(more) + element(TRACKS, *tracks))  # fmt: skip


def long_webm(path: Path, *, seconds: int, frame_bytes: int) -> None:
    """A sparse file: one cluster a second, with one frame of so many zero bytes."""
    with path.open("wb") as file:
        file.write(webm_head())
        for second in range(seconds):
            frame = block(size=4 + frame_bytes)
            file.write(cluster(second * 1000, frame, size=10 + len(frame) + frame_bytes))
            file.seek(frame_bytes, io.SEEK_CUR)
        file.truncate()


# MP4 -----------------------------------------------------------------------------------------------------------------


def box(kind: bytes, *body: bytes, size: int | None = None) -> bytes:
    """An MP4 box; `size` is a lie about its length."""
    content = b"".join(body)
    return struct.pack(">I4s", 8 + len(content) if size is None else size, kind) + content


def mp4_head() -> bytes:
    """What Chromium writes before the first fragment: one track, 1, in 1/30000 s."""
    recorded = (VIDEOS / "vp9-silent.mp4").read_bytes()
    return recorded[: recorded.index(b"moof") - 4]


def moof(number: int, at: int, duration: int, frame_bytes: int, *, count: int = 1) -> bytes:
    """A fragment with one run of equal frames, which must follow it in an `mdat`. Times in the track's units."""
    header = box(b"mfhd", struct.pack(">II", 0, number))
    track = box(b"tfhd", struct.pack(">II", 0x02_0000, 1))  # offsets count from this moof
    time = box(b"tfdt", struct.pack(">IQ", 0x01_000000, at))
    run_bytes = 8 + 12 + 8
    offset = 8 + len(header) + 8 + len(track) + len(time) + run_bytes + 8
    run = box(b"trun", struct.pack(">IIiII", 0x301, count, offset, duration, frame_bytes))
    return box(b"moof", header, box(b"traf", track, time, run))


def long_mp4(path: Path, *, seconds: int, frame_bytes: int) -> None:
    """A sparse file: one fragment a second, with one frame of so many zero bytes."""
    with path.open("wb") as file:
        file.write(mp4_head())
        for second in range(seconds):
            file.write(moof(second + 1, second * 30_000, 30_000, frame_bytes))
            file.write(box(b"mdat", size=8 + frame_bytes))
            file.seek(frame_bytes, io.SEEK_CUR)
        file.truncate()


def remuxed(name: str, form: str, **options: str) -> bytes:
    """A recorded file as FFmpeg's muxers would have written it."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made"  # faststart reads again what it has written
        with av.open(VIDEOS / name) as source, av.open(made, "w", format=form, options=options) as target:
            streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = streams[packet.stream_index]
                    target.mux(packet)
        return made.read_bytes()
