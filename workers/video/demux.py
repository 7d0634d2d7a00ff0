"""The child process of `workers.video.inspect`: takes a video apart that it gets in pieces, over a pipe.

Arguments: the video's size in bytes, seconds of processor time, bytes of memory. Before it looks at the first byte it
gives up, for good, all that a hijacked demuxer could use: no file, socket or process can be opened any more.
"""

import contextlib
import os
import resource
import sys
import traceback
from functools import lru_cache

import msgspec

from workers.video.container import BadContainer, read_facts
from workers.video.pipe import (
    ANSWER,
    ANSWER_FRAME,
    BLOCK_BYTES,
    EXIT_NO_MEMORY,
    READ,
    READ_FRAME,
    Answer,
)

STDIN, STDOUT = range(2)
CACHED_BLOCKS = 4
ADDRESS_SPACE = 4  # times the memory: libraries are mapped too
FAULT_CHARS = 8000


class Remote:
    """The video's bytes, asked from the parent in blocks, of which the last few are kept."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._block = lru_cache(CACHED_BLOCKS)(self._fetch)

    def read(self, offset: int, length: int) -> bytes:
        """At least one and at most `length` bytes from `offset`; none at the end."""
        if offset >= self.size:
            return b""
        number, skip = divmod(offset, BLOCK_BYTES)
        return self._block(number)[skip : skip + length]

    def _fetch(self, number: int) -> bytes:
        offset = number * BLOCK_BYTES
        length = min(BLOCK_BYTES, self.size - offset)
        _say(READ + READ_FRAME.pack(offset, length))
        block = bytearray()
        while len(block) < length:
            piece = os.read(STDIN, length - len(block))
            if not piece:
                os._exit(0)  # the parent is gone
            block += piece
        return bytes(block)


def restrict(*, cpu_s: int, memory_bytes: int) -> None:
    """Give up whatever taking a video apart does not need."""
    _limit(resource.RLIMIT_CPU, cpu_s, cpu_s + 1)
    _limit(resource.RLIMIT_DATA, memory_bytes)
    _limit(resource.RLIMIT_AS, memory_bytes * ADDRESS_SPACE)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NPROC, 0)
    _limit(resource.RLIMIT_NOFILE, 0)  # what is open stays; nothing more, sockets included


def _limit(what: int, soft: int, hard: int | None = None) -> None:
    # A stricter limit stays as it is, and macOS does not have those on memory.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(what, (soft, soft if hard is None else hard))


def _say(frame: bytes) -> None:
    while frame:
        frame = frame[os.write(STDOUT, frame) :]


def _answer(video: Remote) -> Answer:
    try:
        return Answer(facts=read_facts(video))
    except BadContainer as error:
        return Answer(bad=str(error))
    except MemoryError:
        os._exit(EXIT_NO_MEMORY)
    except Exception:
        return Answer(fault=traceback.format_exc()[-FAULT_CHARS:])


def main() -> None:
    size, cpu_s, memory_bytes = map(int, sys.argv[1:])
    restrict(cpu_s=cpu_s, memory_bytes=memory_bytes)
    body = msgspec.json.encode(_answer(Remote(size)))
    _say(ANSWER + ANSWER_FRAME.pack(len(body)) + body)


if __name__ == "__main__":
    main()
