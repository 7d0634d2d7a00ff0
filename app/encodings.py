"""Content codings of request bodies (RFC 9110, 8.4): undone piece by piece, to the very last byte.

A decoder takes the bytes as they arrive and gives pieces of at most a few MiB, however much a few bytes may expand to, so
that the caller can stop at its cap. All members (gzip) and frames (zstd) are read; bytes after the end, or a missing
end, are errors: half a recording is no recording.
"""

import zlib
from collections.abc import Iterator
from typing import Protocol

import zstandard

PIECE = 1024 * 1024
ZSTD_SLICE = 256  # a block of 4 bytes can expand to 128 KiB, so one slice gives at most 8 MiB
ZSTD_WINDOW_MAX = 8 * 1024 * 1024  # RFC 9659: what a zstd content coding may ask of a decoder


class BadEncoding(Exception):
    """The bytes are not what Content-Encoding says. The message may be shown to the caller."""


class Decoder(Protocol):
    """Undoes one content coding."""

    def decode(self, data: bytes | bytearray) -> Iterator[bytes]:
        """The pieces that these bytes bring. Raises BadEncoding."""

    def finish(self) -> None:
        """Raises BadEncoding when the body ended too early."""


class Gzip:
    """gzip (RFC 1952), with any number of members."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)
        self._begun = False

    def decode(self, data: bytes | bytearray) -> Iterator[bytes]:
        rest = bytes(data)
        while rest:
            if self._member.eof:
                self._member = zlib.decompressobj(wbits=31)
            self._begun = True
            with _Named("gzip"):
                piece = self._member.decompress(rest, PIECE)
            rest = self._member.unused_data or self._member.unconsumed_tail
            if piece:
                yield piece
        while not self._member.eof and (piece := self._member.decompress(b"", PIECE)):
            yield piece

    def finish(self) -> None:
        if not (self._begun and self._member.eof):
            raise BadEncoding("the gzip data ends too early")


class Deflate:
    """deflate: zlib data (RFC 1950), or the bare deflate data (RFC 1951) that some clients send instead."""

    def __init__(self) -> None:
        self._head = b""
        self._stream: zlib._Decompress | None = None

    def decode(self, data: bytes | bytearray) -> Iterator[bytes]:
        rest = self._head + bytes(data)
        if self._stream is None:
            if len(rest) < 2:
                self._head = rest
                return
            self._head = b""
            is_zlib = rest[0] & 0x0F == 8 and int.from_bytes(rest[:2], "big") % 31 == 0
            self._stream = zlib.decompressobj(wbits=15 if is_zlib else -15)
        while rest:
            if self._stream.eof:
                raise BadEncoding("there are bytes after the end of the deflate data")
            with _Named("deflate"):
                piece = self._stream.decompress(rest, PIECE)
            rest = self._stream.unused_data or self._stream.unconsumed_tail
            if piece:
                yield piece
        while not self._stream.eof and (piece := self._stream.decompress(b"", PIECE)):
            yield piece

    def finish(self) -> None:
        if self._stream is None or not self._stream.eof:
            raise BadEncoding("the deflate data ends too early")


class Zstd:
    """zstd (RFC 8878), with any number of frames."""

    def __init__(self, window_max: int = ZSTD_WINDOW_MAX) -> None:
        # One for all frames, which may be empty and many: making one takes ten times as long as using it.
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=window_max)
        self._frame = self._decompressor.decompressobj()
        self._begun = False

    def decode(self, data: bytes | bytearray) -> Iterator[bytes]:
        view = memoryview(data)
        for start in range(0, len(view), ZSTD_SLICE):
            rest = bytes(view[start : start + ZSTD_SLICE])
            while rest:
                if self._frame.eof:
                    self._frame = self._decompressor.decompressobj()
                self._begun = True
                with _Named("zstd"):
                    piece = self._frame.decompress(rest)
                rest = self._frame.unused_data if self._frame.eof else b""
                if piece:
                    yield piece

    def finish(self) -> None:
        if not (self._begun and self._frame.eof):
            raise BadEncoding("the zstd data ends too early")


DECODERS: dict[str, type[Decoder]] = {"gzip": Gzip, "x-gzip": Gzip, "deflate": Deflate, "zstd": Zstd}
OFFERED = "gzip, deflate, zstd"


class _Named:
    """Turns the codecs' own errors into BadEncoding."""

    def __init__(self, coding: str) -> None:
        self._coding = coding

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, zlib.error | zstandard.ZstdError):
            raise BadEncoding(f"not {self._coding} data: {error}") from None
