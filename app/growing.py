"""What somebody is still writing, read as it grows: a file, or a stream (standard input, a pipe)."""

import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO, Protocol

from app.stopping import Stop
from app.unwrapped import BadFile

STEP = 1 << 20
POLL_S = 0.2  # between two looks at a file
LAST_WORDS_S = 1.0  # that the writer of a stream has after Ctrl-C, which ends it too


class Growing(Protocol):
    """Something that grows."""

    def read(self, seconds: float) -> bytes | None:
        """What has come: `STEP` bytes at most. Waits so long, or a little less, when there is nothing yet: then b"".

        None: that was all, the writer is done or we are to stop. Raises BadFile, OSError.
        """
        ...


@contextmanager
def growing(path: Path, stop: Stop) -> Iterator[Growing]:
    """What is at a path. A pipe is waited for until somebody writes to it. Raises OSError."""
    with path.open("rb", buffering=0) as file:
        yield (
            GrowingFile(path, file, stop) if S_ISREG(os.fstat(file.fileno()).st_mode) else Stream(file, stop)
        )


class GrowingFile:
    """A regular file. Its writer is done when it is removed; who cuts it short or puts another in its place is told."""

    def __init__(self, path: Path, file: BinaryIO, stop: Stop) -> None:
        self._path, self._file, self._stop = path, file, stop
        self._was_gone = False

    def read(self, seconds: float) -> bytes | None:
        if data := self._file.read(STEP):
            self._was_gone = False
            return data
        if self._stop.is_set or self._is_over():
            return None
        select.select([self._stop.fd], [], [], min(seconds, POLL_S))
        return b""

    def _is_over(self) -> bool:
        """Whether the file had no name any more at two looks: somebody may still write what was begun before."""
        mine = os.fstat(self._file.fileno())
        if mine.st_size < self._file.tell():
            raise BadFile(
                "cut short while it was followed; what it had is sent: follow it again for what is new"
            )
        try:
            there = self._path.stat()
        except FileNotFoundError:
            there = None
        if there and os.path.samestat(mine, there):
            self._was_gone = False
            return False
        was_gone, self._was_gone = self._was_gone, True
        if was_gone and there:
            raise BadFile("another file took its name; what it had is sent: follow the new one with --follow")
        return was_gone


class Stream:
    """A pipe, a terminal, a socket; or a file as standard input, which ends where it ends."""

    def __init__(self, file: BinaryIO, stop: Stop) -> None:
        self._fd, self._stop = file.fileno(), stop
        self._until: float | None = None

    def read(self, seconds: float) -> bytes | None:
        if self._stop.is_set:
            self._until = self._until or time.monotonic() + LAST_WORDS_S
            seconds = max(0.0, self._until - time.monotonic())
        waits_for = [self._fd] if self._until else [self._fd, self._stop.fd]
        ready, _, _ = select.select(waits_for, [], [], seconds)
        if self._fd in ready and (self._until is None or seconds > 0):
            return os.read(self._fd, STEP) or None
        return None if self._until else b""
