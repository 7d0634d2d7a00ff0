"""From the bytes of a WebM, Matroska or MP4 file to its facts, by FFmpeg's demuxers (PyAV). Nothing is decoded.

**How long is it?** A file that was written as it was recorded cannot say so at its start: MediaRecorder's never do. Its
last fragments know (`workers.video.fragments`): from the first packet to the end of the last. So a video of any size
costs a few reads, and one that was cut off is as long as what is there. A duration that the head declares is believed
when the packets bear it out: it knows how long the last frame is shown.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import av.audio.codeccontext
import av.subtitles.codeccontext
import av.subtitles.stream
import av.video.codeccontext  # PyAV would import these when it needs them: too late, no file can be opened then
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from workers.video.fragments import MATROSKA, MP4, Bytes, Family, View, exactly, find, find_backwards, padding
from workers.video.pipe import MAX_TRACKS, VideoFacts
from workers.video.sniff import container_of, describe

OPTIONS = {
    "codec_whitelist": "none",  # probing must not decode
    "protocol_whitelist": "none",
    # No index: it would have the whole file read. No parsers: they look into frames. And, as PyAV asks for it unless it
    # is left out here, no guessing of times: that queues packets without end.
    "fflags": "ignidx+noparse+nofillin",
    "probesize": "32768",
    "max_streams": str(MAX_TRACKS),
}
NAMES = {"mp4": "MP4", "webm": "WebM", "matroska": "Matroska"}
UNKNOWN = "unknown"
HEAD_BYTES = 512
MAX_LEAD_PACKETS = 10_000
"""Before the first of a video."""
TAIL = 64 << 20
"""Bytes at the end in which fragments are searched: a cluster spans 33 s at most."""
MAX_TRIES = 4
"""Places near the end from which packets are looked for: the last fragment may be cut off before its first."""
LONGEST = Fraction(7 * 24 * 3600)
"""Seconds: whoever claims more is not believed."""
LAST_FRAME = Fraction(10)
"""Seconds that a declared duration may exceed the packets'."""
ROUNDING = Fraction(1, 10)
"""Seconds that the packets may exceed a declared duration."""


class BadContainer(Exception):
    """This is no video, or a broken one; the message is one sentence for its owner."""


def read_facts(video: Bytes) -> VideoFacts:
    """The facts of a video. Raises BadContainer, MemoryError."""
    head = exactly(video, 0, HEAD_BYTES)
    container = container_of(head)
    if container is None:
        raise BadContainer(
            f"The upload is {describe(head)}, not a video that a browser records (WebM or MP4)."
        )
    family = MP4 if container == "mp4" else MATROSKA
    try:
        with _open(View(video), family) as opened:
            return _facts(video, container, family, opened)
    except av.error.FFmpegError:
        raise BadContainer(
            f"The {NAMES[container]} file cannot be read: it is cut short or damaged."
        ) from None


def _facts(video: Bytes, container: str, family: Family, opened: InputContainer) -> VideoFacts:
    pictures = [each for each in opened.streams.video if not each.disposition & Disposition.attached_pic]
    if not pictures:
        raise BadContainer(f"The {NAMES[container]} file has no video track.")
    codecs = [_codec(stream) for stream in (*pictures, *opened.streams.audio)]
    if codecs[0] == UNKNOWN:
        raise BadContainer("The video's codec is unknown.")
    lead = _lead(opened, {stream.index for stream in pictures})
    if lead is None:
        raise BadContainer(f"The {NAMES[container]} file has a video track, but no frame in it.")
    length = _length(video, family, opened, lead)
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


# Packets -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lead:
    """Where the media begin: the time (s) and the place (bytes) of the first packets."""

    time: Fraction
    offset: int


def _lead(opened: InputContainer, pictures: set[int]) -> Lead | None:
    """What the packets up to the first of a video say; None when there is none."""
    times, offsets = [], []
    for packet in itertools.islice(_packets(opened), MAX_LEAD_PACKETS):
        times.append(_seconds(_timestamp(packet) or 0, packet.stream))
        offsets.append(packet.pos or 0)
        if packet.stream_index in pictures:
            return Lead(min(times), min(offsets))
    return None


def _end(opened: InputContainer) -> Fraction | None:
    """When the last of all packets ends (s); None when there are none."""
    ends: dict[int, int] = {}  # by stream, in its units: there may be millions of packets
    for packet in _packets(opened):
        end = (_timestamp(packet) or 0) + max(0, packet.duration or 0)
        ends[packet.stream_index] = max(end, ends.get(packet.stream_index, end))
    return max((_seconds(end, opened.streams[index]) for index, end in ends.items()), default=None)


def _packets(opened: InputContainer) -> "Iterator[Packet[Stream]]":
    """The whole packets that have a time, until the file ends or cannot be understood any more."""
    try:
        for packet in opened.demux():
            if packet.size and not packet.is_corrupt and _timestamp(packet) is not None:
                yield packet
    except av.error.FFmpegError:
        return


def _timestamp(packet: "Packet[Stream]") -> int | None:
    return packet.dts if packet.pts is None else packet.pts


def _seconds(units: int, stream: Stream) -> Fraction:
    return units * (stream.time_base or Fraction(0))


# Duration ------------------------------------------------------------------------------------------------------------


def _length(video: Bytes, family: Family, opened: InputContainer, lead: Lead) -> Fraction | None:
    """How long the video is, in seconds, by what its head and its packets say."""
    declared = _believable(Fraction(opened.duration, av.time_base) if opened.duration else None)
    first = find(video, family, 0, lead.offset)
    end = _indexed_end(video, opened) if first is None else _fragments_end(video, family, first)
    measured = None if end is None else _believable(end - lead.time)
    if first is None or declared is None or measured is None:
        return declared if measured is None else measured
    return declared if -ROUNDING <= declared - measured <= LAST_FRAME else measured


def _believable(length: Fraction | None) -> Fraction | None:
    return length if length is not None and 0 <= length <= LONGEST else None


def _fragments_end(video: Bytes, family: Family, first: int) -> Fraction | None:
    """When the last packet ends that is there (s), of a file whose first fragment begins at `first`."""
    for last in itertools.islice(find_backwards(video, family, max(first, video.size - TAIL)), MAX_TRIES):
        try:
            with _open(View(video, first, padding(family, last - first)), family) as ending:
                end = _end(ending)
        except av.error.FFmpegError:
            continue
        if end is not None:
            return end
    return None


def _indexed_end(video: Bytes, opened: InputContainer) -> Fraction | None:
    """When the last frame begins that is there (s), of an MP4 in one piece, whose head lists them; None if all are."""
    begins, missing = [], False
    for stream in (*opened.streams.video, *opened.streams.audio):
        entries = stream.index_entries
        for number in range(len(entries) - 1, -1, -1):
            entry = entries[number]
            if entry.pos + entry.size <= video.size:
                begins.append(_seconds(entry.timestamp, stream))
                break
            missing = True
    return max(begins) if missing and begins else None
