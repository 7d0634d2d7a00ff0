"""Files as streams of what is in them, once decompressed: gzip, zstd, bzip2, xz, told by their first bytes.

Only a few MiB are held, however much a few bytes expand to; what expands beyond all measure is refused, so that a
stream which is read only to get past it ends too. All members and frames are read; bytes after the end, or a missing
end, are errors: half a recording is no recording.
"""

import bz2
import lzma
from collections.abc import Callable, Iterator
from itertools import chain
from typing import IO, NamedTuple, Protocol

from app.encodings import BadEncoding, Decoder, Gzip, Zstd
from app.wrappers import BadFile

STEP = 1 << 20
ZSTD_WINDOW_MAX = 128 << 20  # what the zstd command reads without being asked to
XZ_MEMORY_MAX = 256 << 20  # `xz -9` needs 65 MiB to be read
RATIO_MAX = 1000  # JSON shrinks to a tenth or a hundredth; deflate cannot do more than 1:1032
FREE_BYTES = 64 << 20  # what a file may become, whatever its ratio


class Opened(NamedTuple):
    """A stream after one compression was undone, or none (`coding` None). `head`: its first bytes, `chunks` has them too."""

    coding: str | None
    head: bytes
    chunks: Iterator[bytes]


def chunks_of(file: IO[bytes]) -> Iterator[bytes]:
    """A file from where it is to its end."""
    return iter(lambda: file.read(STEP), b"")


def opened(chunks: Iterator[bytes], head_bytes: int) -> Opened:
    """A stream without its compression. Raises BadFile, here and while the chunks are read; so what `chunks` raises."""
    head, chunks = _peeked(chunks, head_bytes)
    for magic, (coding, make) in _CODINGS.items():
        if head.startswith(magic):
            return Opened(coding, *_peeked(_decoded(chunks, make()), head_bytes))
    return Opened(None, head, chunks)


def _peeked(chunks: Iterator[bytes], count: int) -> tuple[bytes, Iterator[bytes]]:
    head = b""
    while len(head) < count and (chunk := next(chunks, b"")):
        head += chunk
    return head[:count], chain([head], chunks)


def _decoded(chunks: Iterator[bytes], decoder: Decoder) -> Iterator[bytes]:
    read = made = 0
    try:
        for chunk in chunks:
            read += len(chunk)
            for piece in decoder.decode(chunk):
                made += len(piece)
                if made > FREE_BYTES + RATIO_MAX * read:
                    raise BadFile(f"expands more than {RATIO_MAX}-fold: no recording does")
                yield piece
        decoder.finish()
    except BadEncoding as error:
        raise BadFile(str(error)) from None


class _Decompressor(Protocol):
    """What `BZ2Decompressor` and `LZMADecompressor` have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Streams:
    """A `Decoder` of streams one after the other, with zeros after them or none."""

    def __init__(self, name: str, make: Callable[[], _Decompressor]) -> None:
        self._name, self._make = name, make
        self._stream = make()

    def decode(self, data: bytes | bytearray) -> Iterator[bytes]:
        rest = bytes(data)
        while rest or not (self._stream.eof or self._stream.needs_input):
            if self._stream.eof:
                rest = rest.lstrip(b"\0")
                if not rest:
                    return
                self._stream = self._make()
            try:
                piece = self._stream.decompress(rest, STEP)
            except (OSError, lzma.LZMAError) as error:
                raise BadEncoding(f"not {self._name} data: {error}") from None
            rest = self._stream.unused_data if self._stream.eof else b""
            if piece:
                yield piece

    def finish(self) -> None:
        if not self._stream.eof:
            raise BadEncoding(f"the {self._name} data ends too early")


def _bzip2() -> Decoder:
    return _Streams("bzip2", bz2.BZ2Decompressor)


def _xz() -> Decoder:
    return _Streams("xz", lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY_MAX))


_CODINGS: dict[bytes, tuple[str, Callable[[], Decoder]]] = {
    b"\x1f\x8b": ("gzip", Gzip),
    b"\x28\xb5\x2f\xfd": ("zstd", lambda: Zstd(ZSTD_WINDOW_MAX)),
    b"BZh": ("bzip2", _bzip2),
    b"\xfd7zXZ\0": ("xz", _xz),
}
