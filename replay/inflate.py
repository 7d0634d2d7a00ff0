"""zstd streams, decompressed in bounded steps."""

from collections.abc import Callable, Iterable, Iterator

import zstandard

# 4 stored bytes may say 128 KiB (an RLE block), so what is fed at once bounds what comes out at once.
_FEED_BYTES = 1024


class Truncated(Exception):
    """A stream that ends inside a frame, or holds none."""


class BadStream(Exception):
    """A stream that cannot be had whole. The message goes on after what it is the stream of."""


class Inflater:
    """Frames, one after the other, fed in chunks that are split anywhere."""

    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._complete = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """What `chunk` adds, in pieces. Raises zstandard.ZstdError."""
        for at in range(0, len(chunk), _FEED_BYTES):
            feed = chunk[at : at + _FEED_BYTES]
            while feed:
                self._frame = frame = self._frame or self._decompressor.decompressobj()
                if piece := frame.decompress(feed):
                    yield piece
                if not frame.eof:
                    break
                feed, self._frame, self._complete = frame.unused_data, None, True

    def finish(self) -> None:
        """The stream is over. Raises Truncated."""
        if self._frame is not None or not self._complete:
            raise Truncated


def inflate(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What a whole stream decodes to, in pieces. Raises Truncated, zstandard.ZstdError."""
    inflater = Inflater()
    for chunk in chunks:
        yield from inflater.feed(chunk)
    inflater.finish()


def inflated(
    chunks: Iterable[bytes], max_bytes: int, take: Callable[[int], object] = lambda _: None
) -> bytearray:
    """All that a stream decodes to. `take` hears how many bytes more are to be held, and may refuse. Raises BadStream."""
    whole = bytearray()
    try:
        for piece in inflate(chunks):
            take(len(piece))
            whole += piece
            if len(whole) > max_bytes:
                raise BadStream("decompresses to more than is allowed")
    except Truncated:
        raise BadStream("ends too early") from None
    except zstandard.ZstdError as error:
        raise BadStream(f"cannot be decompressed: {error}") from None
    return whole
