"""zstd streams, decompressed in bounded steps."""

from collections.abc import Iterable, Iterator

import zstandard

# 4 stored bytes may say 128 KiB (an RLE block), so what is fed at once bounds what comes out at once.
_FEED_BYTES = 1024


class Truncated(Exception):
    """The stream ended inside a frame, or held none."""


def inflate(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What frames decode to, one after the other; `chunks` may be split anywhere. Raises Truncated, zstandard.ZstdError."""
    decompressor = zstandard.ZstdDecompressor()
    frame, complete = None, False
    for chunk in chunks:
        for at in range(0, len(chunk), _FEED_BYTES):
            feed = chunk[at : at + _FEED_BYTES]
            while feed:
                frame = frame or decompressor.decompressobj()
                yield frame.decompress(feed)
                if not frame.eof:
                    break
                feed, frame, complete = frame.unused_data, None, True
    if frame is not None or not complete:
        raise Truncated
