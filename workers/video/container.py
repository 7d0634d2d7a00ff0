"""From the bytes of a WebM, Matroska or MP4 file to its facts, by FFmpeg's demuxers (PyAV). Nothing is decoded.

**How long is it?** What MediaRecorder writes as it goes cannot say at its start. Both formats are then a head and a row
of fragments (WebM: clusters; MP4: `moof` boxes), and the last fragments carry their time. Where they begin is found
by searching the end of the file for a fragment's first bytes. The demuxer then gets the file with everything between
the head and there declared to be padding (an EBML Void element, a `free` box), which it skips: offsets stay what they were,
and a video of any size costs a few reads.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import av
import av.audio.codeccontext
import av.subtitles.codeccontext
import av.subtitles.stream
import av.video.codeccontext  # PyAV would import these when it needs them: too late, no file can be opened then
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from workers.video.pipe import BLOCK_BYTES, MAX_TRACKS, VideoFacts
from workers.video.sniff import container_of, describe

OPTIONS = {
    "codec_whitelist": "none",  # probing must not decode
    "protocol_whitelist": "none",
    "fflags": "+ignidx+noparse+nofillin",  # no index: it would read the whole file; no parsers: they look into frames
    "probesize": "32768",
    "max_streams": str(MAX_TRACKS),
}
TAILS = (1 << 20, 8 << 20, 64 << 20)
"""Bytes at the end in which fragments are searched: each size when the one before had none. A cluster spans 33 s at most."""
HEAD_BYTES = 512
MARK_BYTES = 64
"""No fragment's mark is longer."""
UNKNOWN = "unknown"
NAMES = {"mp4": "MP4", "webm": "WebM", "matroska": "Matroska"}
ROUNDING = Fraction(1, 10)
MAX_LEAD_PACKETS = 10_000
LONGEST = Fraction(7 * 24 * 3600)
"""Seconds: whoever claims more is not believed."""
LAST_FRAME = Fraction(10)
"""Seconds that a declared duration may go beyond the beginning of the last frame."""


class BadContainer(Exception):
    """This is no video, or a broken one; the message is one sentence for its owner."""


class Bytes(Protocol):
    """Random access."""

    size: int

    def read(self, offset: int, length: int) -> bytes:
        """At least one and at most `length` bytes from `offset`; none at the end."""


@dataclass(frozen=True)
class Family:
    """How one family of containers begins a fragment, and how it writes padding."""

    demuxer: str
    fragment: re.Pattern[bytes]

    def padding(self, length: int) -> bytes:
        """The header of an element without meaning that is `length` bytes long, its header included."""
        match self.demuxer:
            case "mp4":
                return b"\0\0\0\1free" + length.to_bytes(8, "big")
            case _:
                return b"\xec\x01" + (length - 9).to_bytes(7, "big")


SMALLEST_PADDING = 16
# A Cluster of any size, with a checksum or not, whose first child is its Timestamp.
MATROSKA = Family(
    "matroska",
    re.compile(
        rb"\x1f\x43\xb6\x75(?:[\x81-\xff]|[\x40-\x7f].|[\x20-\x3f]..|[\x10-\x1f].{3}|[\x08-\x0f].{4}|\x01.{7})"
        rb"(?:\xbf\x84.{4})?\xe7[\x81-\x88]",
        re.DOTALL,
    ),
)
MP4 = Family("mp4", re.compile(rb".{4}moof\0\0\0\x10mfhd", re.DOTALL))


class View:
    """The video as a file object, with `padding` laid over what begins at `start`."""

    def __init__(self, video: Bytes, start: int = 0, padding: bytes = b"") -> None:
        self._video, self._start, self._padding = video, start, padding
        self._at = 0

    def read(self, length: int) -> bytes:
        into = self._at - self._start
        if 0 <= into < len(self._padding):
            piece = self._padding[into : into + length]
        else:
            piece = self._video.read(self._at, min(length, -into) if into < 0 else length)
        self._at += len(piece)
        return piece

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, offset + (0, self._at, self._video.size)[whence])
        return self._at

    def tell(self) -> int:
        return self._at


def read_facts(video: Bytes) -> VideoFacts:
    """The facts of a video. Raises BadContainer, MemoryError."""
    head = _exactly(video, 0, HEAD_BYTES)
    container = container_of(head)
    if container is None:
        raise BadContainer(
            f"The upload is {describe(head)}, not a video that a browser records (WebM or MP4)."
        )
    family = MP4 if container == "mp4" else MATROSKA
    try:
        with _open(View(video), family) as opened:
            return _facts(video, container, family, opened)
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError:
        raise BadContainer(
            f"The {NAMES[container]} file cannot be read: it is cut short or damaged."
        ) from None


def _facts(video: Bytes, container: str, family: Family, opened: InputContainer) -> VideoFacts:
    pictures = [
        stream for stream in opened.streams.video if not stream.disposition & Disposition.attached_pic
    ]
    if not pictures:
        raise BadContainer(f"The {NAMES[container]} file has no video track.")
    codecs = [_codec(stream) for stream in (*pictures, *opened.streams.audio)]
    if codecs[0] == UNKNOWN:
        raise BadContainer("The video's codec is unknown.")
    lead = _lead(opened)
    if lead is None:
        raise BadContainer(f"The {NAMES[container]} file has a video track, but no frame in it.")
    declared = Fraction(opened.duration, av.time_base) if opened.duration else None
    length = _length(declared, _measured(video, family, opened, lead))
    return VideoFacts(
        duration_ms=None if length is None else round(length * 1000),
        container=container,
        codecs=list(dict.fromkeys(codecs)),
        has_audio=bool(opened.streams.audio),
    )


def _open(file: View, family: Family) -> InputContainer:
    return av.open(file, "r", format=family.demuxer, options=OPTIONS, metadata_errors="ignore")


def _codec(stream: Stream) -> str:
    context = stream.codec_context
    return context.codec.canonical_name if context else UNKNOWN


@dataclass(frozen=True)
class Lead:
    """Where the media begin: the time (s) and the place (bytes) of the first packets."""

    time: Fraction
    offset: int


def _lead(opened: InputContainer) -> Lead | None:
    """What the packets up to the first of a video say; None when there is none."""
    times, offsets = [], []
    for packet in itertools.islice(_packets(opened), MAX_LEAD_PACKETS):
        times.append(_begin(packet))
        offsets.append(packet.pos or 0)
        if packet.stream.type == "video":
            return Lead(min(times), min(offsets))
    return None


def _packets(opened: InputContainer) -> "Iterator[Packet[Stream]]":
    """The whole packets that have a time, until the file ends or cannot be understood any more."""
    try:
        for packet in opened.demux():
            if packet.size and packet.time_base and not packet.is_corrupt and _timestamp(packet) is not None:
                yield packet
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError:
        return


def _timestamp(packet: "Packet[Stream]") -> int | None:
    return packet.dts if packet.pts is None else packet.pts


def _begin(packet: "Packet[Stream]") -> Fraction:
    return Fraction(_timestamp(packet) or 0) * packet.time_base


def _end(packet: "Packet[Stream]") -> Fraction:
    return _begin(packet) + max(0, packet.duration or 0) * packet.time_base


def _length(declared: Fraction | None, measured: Fraction | None) -> Fraction | None:
    """How long the video is (s). What the frames say counts; what the head says must go with it."""
    believable = [length for length in (declared, measured) if length is not None and 0 <= length <= LONGEST]
    if measured in believable and declared in believable:
        return declared if measured <= declared + ROUNDING and declared <= measured + LAST_FRAME else measured
    return believable[0] if believable else None


def _measured(video: Bytes, family: Family, opened: InputContainer, lead: Lead) -> Fraction | None:
    """From the first packet to the end of the last that is there, in seconds. None when only the head tells."""
    head = _find(video, family.fragment, 0, lead.offset)
    if head is None:
        return _indexed(video, opened, lead)
    for tail in TAILS:
        begin = _find(video, family.fragment, max(head, video.size - tail), video.size)
        if begin is None:
            continue
        skipped = begin - head
        padding = family.padding(skipped) if skipped >= SMALLEST_PADDING else b""
        with _open(View(video, head, padding), family) as last:
            end = max(map(_end, _packets(last)), default=None)
        if end is not None:
            return end - lead.time
    return None


def _indexed(video: Bytes, opened: InputContainer, lead: Lead) -> Fraction | None:
    """For an MP4 in one piece, whose head knows all frames: the last that is there, if some are not."""
    ends, missing = [], False
    for stream in (*opened.streams.video, *opened.streams.audio):
        entries = stream.index_entries
        for number in range(len(entries) - 1, -1, -1):
            entry = entries[number]
            if entry.pos + entry.size <= video.size:
                ends.append(entry.timestamp * (stream.time_base or Fraction(0)))
                break
            missing = True
    return max(ends) - lead.time if missing and ends else None


def _find(video: Bytes, pattern: re.Pattern[bytes], start: int, end: int) -> int | None:
    """Where the first match begins, if it begins before `end`."""
    for offset in range(start, end, BLOCK_BYTES):
        match = pattern.search(_exactly(video, offset, BLOCK_BYTES + MARK_BYTES))
        if match and offset + match.start() < end:
            return offset + match.start()
    return None


def _exactly(video: Bytes, offset: int, length: int) -> bytes:
    """So many bytes, fewer only at the end."""
    got = b""
    while len(got) < length and (piece := video.read(offset + len(got), length - len(got))):
        got += piece
    return got
