"""WebM, Matroska and fragmented MP4 are a head and a row of fragments: clusters, or `moof` boxes with their data.

A fragment says when it begins, so the last ones tell how long a video is. `find` finds one by its first bytes, and
`View` shows a demuxer the file as if there were only padding in front of it: the demuxer skips that without reading,
and every offset stays what it was.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from workers.video.pipe import BLOCK_BYTES

MARK_BYTES = 64
"""No fragment's mark is longer."""
LONGEST_PADDING_HEADER = 16


class Bytes(Protocol):
    """Random access."""

    size: int

    def read(self, offset: int, length: int) -> bytes:
        """At least one and at most `length` bytes from `offset`; none at the end."""


@dataclass(frozen=True)
class Family:
    """FFmpeg's name of a demuxer, and how its containers begin a fragment."""

    demuxer: str
    fragment: re.Pattern[bytes]


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


def padding(family: Family, length: int) -> bytes:
    """The header of an element without meaning that is `length` bytes long with its header; b"" when it is too short."""
    if length < LONGEST_PADDING_HEADER:
        return b""
    if family is MP4:
        return b"\0\0\0\1free" + length.to_bytes(8, "big")  # ISO/IEC 14496-12, 4.2 and 8.1.2
    return b"\xec\x01" + (length - 9).to_bytes(7, "big")  # Void: RFC 8794, 11.3.2


class View:
    """The video as a file object, with `laid_over` in place of the bytes from `start` on."""

    def __init__(self, video: Bytes, start: int = 0, laid_over: bytes = b"") -> None:
        self._video, self._start, self._laid_over = video, start, laid_over
        self._at = 0

    def read(self, length: int) -> bytes:
        into = self._at - self._start
        if 0 <= into < len(self._laid_over):
            piece = self._laid_over[into : into + length]
        else:
            piece = self._video.read(self._at, min(length, -into) if into < 0 else length)
        self._at += len(piece)
        return piece

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, offset + (0, self._at, self._video.size)[whence])
        return self._at

    def tell(self) -> int:
        return self._at


def find(video: Bytes, family: Family, start: int, end: int) -> int | None:
    """Where the first fragment begins that does so in `start <= i < end`."""
    for offset in range(start, end, BLOCK_BYTES):
        match = family.fragment.search(exactly(video, offset, BLOCK_BYTES + MARK_BYTES))
        if match and offset + match.start() < end:
            return offset + match.start()
    return None


def find_backwards(video: Bytes, family: Family, start: int) -> Iterator[int]:
    """From the end back to `start`, in each stretch of BLOCK_BYTES that has any: where its first fragment begins."""
    for end in range(video.size, start, -BLOCK_BYTES):
        found = find(video, family, max(start, end - BLOCK_BYTES), end)
        if found is not None:
            yield found


def exactly(video: Bytes, offset: int, length: int) -> bytes:
    """So many bytes, fewer only at the end."""
    got = b""
    while len(got) < length and (piece := video.read(offset + len(got), length - len(got))):
        got += piece
    return got
