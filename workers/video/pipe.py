"""What `inspect` and its child process `demux` say to each other, over the child's standard input and output.

Integers are big-endian. The child asks until it knows:

    child → parent    b"R" u64 offset u32 length    "give me these bytes of the video": 0 < length <= BLOCK_BYTES
    parent → child    length bytes                  the bytes, exactly as many
    child → parent    b"A" u32 length JSON          its `Answer`, length <= ANSWER_BYTES; the last word

The child asks for nothing beyond the end of the video. The parent ends the child when it asks for more, too often, or
garbles a frame; the child leaves when its input ends: its parent is gone.
"""

import struct
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

READ, ANSWER = b"R", b"A"
READ_FRAME = struct.Struct(">QI")
ANSWER_FRAME = struct.Struct(">I")
BLOCK_BYTES = 1024 * 1024
ANSWER_BYTES = 64 * 1024
EXIT_NO_MEMORY = 75
MAX_TRACKS = 16

Codec = Annotated[str, Meta(pattern="^[a-z0-9_]{1,40}$")]


@dataclass(frozen=True)
class VideoFacts:
    """What a video says of itself. `codecs` are FFmpeg's names, the video's first; `duration_ms` may be unknown."""

    duration_ms: Annotated[int, Meta(ge=0)] | None
    container: Annotated[str, Meta(pattern="^(webm|matroska|mp4)$")]
    codecs: Annotated[list[Codec], Meta(min_length=1, max_length=MAX_TRACKS)]
    has_audio: bool


@dataclass(frozen=True)
class Answer:
    """One of three: the facts; why the video is bad, for its owner; or what broke in the child, for an operator."""

    facts: VideoFacts | None = None
    bad: str | None = None
    fault: str | None = None
