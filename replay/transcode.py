"""From a tape's stored bytes to what a client can read, on the fly: JSON or one event a line, in any encoding.

Push style, so that the caller may await its bytes: `feed` each chunk, then `finish`. Memory stays flat: JSON flows
through, and lines hold one part at a time.
"""

import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec
import zstandard
from msgspec import Raw

from replay import surrogates
from replay.cut import Body
from replay.inflate import Inflater, Truncated
from replay.tape import LEVEL, PREFIX, RESET, read_part

_PIECE_BYTES = 256 << 10  # small pieces cost a call each further on
_GZIP = 16 + zlib.MAX_WBITS
_GZIP_LEVEL = 4
_NEWLINES_TO_SPACES = bytes.maketrans(b"\r\n", b"  ")

_events = msgspec.json.Decoder(list[Raw])


class Transcoder(Protocol):
    """Bytes in, bytes out."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """What `chunk` adds."""
        ...

    def finish(self) -> Iterator[bytes]:
        """What is left. Raises Truncated when bytes are missing."""
        ...


class Json:
    """Stored bytes → the JSON array."""

    def __init__(self, _: Body) -> None:
        self._inflater = Inflater()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        held = bytearray()
        for piece in self._inflater.feed(chunk):
            held += piece
            if len(held) >= _PIECE_BYTES:
                yield bytes(held)
                held.clear()
        if held:
            yield bytes(held)

    def finish(self) -> Iterator[bytes]:
        self._inflater.finish()
        yield from ()


class Lines:
    """Stored bytes → NDJSON: one event a line, its raw newlines (between tokens) replaced by spaces."""

    def __init__(self, body: Body) -> None:
        self._parts = iter(body.parts)
        self._next = next(self._parts, None)
        self._held = bytearray()
        self._skip = len(PREFIX)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        self._held += chunk
        while self._next and len(self._held) >= self._skip + self._next[0]:
            stored, decoded = self._next
            part = bytes(self._held[self._skip : self._skip + stored])
            del self._held[: self._skip + stored]
            self._next, self._skip = next(self._parts, None), len(RESET)
            yield _lines(part, decoded)

    def finish(self) -> Iterator[bytes]:
        if self._next:
            raise Truncated
        yield from ()


class Identity:
    """No content encoding."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        yield chunk

    def finish(self) -> Iterator[bytes]:
        yield from ()


class Gzip:
    """RFC 1952; no time stamp, so the same bytes every time."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        if out := self._compressor.compress(chunk):
            yield out

    def finish(self) -> Iterator[bytes]:
        yield self._compressor.flush()


class Zstd:
    """RFC 8878, RFC 9659: a window of at most 8 MiB."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=LEVEL).compressobj()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        if out := self._compressor.compress(chunk):
            yield out

    def finish(self) -> Iterator[bytes]:
        yield self._compressor.flush()


class _Chained:
    def __init__(self, reader: Transcoder, encoder: Transcoder) -> None:
        self._reader = reader
        self._encoder = encoder

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        for piece in self._reader.feed(chunk):
            yield from self._encoder.feed(piece)

    def finish(self) -> Iterator[bytes]:
        for piece in self._reader.finish():
            yield from self._encoder.feed(piece)
        yield from self._encoder.finish()


READERS: dict[str, Callable[[Body], Transcoder]] = {"application/json": Json, "application/x-ndjson": Lines}
ENCODERS: dict[str, Callable[[], Transcoder]] = {"identity": Identity, "gzip": Gzip, "zstd": Zstd}


def transcoder(body: Body, media_type: str, encoding: str) -> Transcoder:
    """From the stored bytes of `body` to this media type and content encoding. Raises KeyError for others.

    JSON in zstd needs none: that is what the stored bytes are.
    """
    if media_type == "application/json" and encoding == "zstd":
        return Identity()
    return _Chained(READERS[media_type](body), ENCODERS[encoding]())


def _lines(part: bytes, decoded: int) -> bytes:
    array = read_part(part, decoded).translate(_NEWLINES_TO_SPACES)
    events: list[Raw] = surrogates.decode(_events, array)
    return b"".join(piece for event in events for piece in (event, b"\n"))
