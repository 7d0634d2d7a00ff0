"""The bytes of one put, checked while they pass."""

import time
from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c

from storage.protocol import Refused, Unavailable

CHUNK = 1024 * 1024


class Source:
    """What a put sends: iterated anew for each try, from where `body` stood.

    Iteration raises Refused at its end when the bytes were not those announced, so that a sender who finishes only
    after the last chunk never finishes a wrong object; Unavailable as soon as the deadline (monotonic) is over or
    another thread has called `give_up`.
    """

    def __init__(self, body: BinaryIO, *, size: int, crc32c: int, deadline_s: float) -> None:
        self.size = size
        self.crc32c = crc32c
        self._body = body
        self._origin = body.tell()
        self._deadline = time.monotonic() + deadline_s

    def __iter__(self) -> Iterator[bytes]:
        size = crc32c = 0
        while chunk := self._read(self._origin + size):
            size += len(chunk)
            crc32c = google_crc32c.extend(crc32c, chunk)
            if size > self.size:
                break
            yield chunk
        if (size, crc32c) != (self.size, self.crc32c):
            raise Refused(
                f"put: announced {self.size} bytes with CRC32C {self.crc32c:08x}, got {size} with {crc32c:08x}"
            )

    def _read(self, at: int) -> bytes:
        try:
            self._body.seek(at)
            chunk = self._body.read(CHUNK)
        except (OSError, ValueError) as error:  # a failing disk is not storage's fault; nor is a closed file
            raise Refused(f"put: the body cannot be read: {error}") from error
        self.check_time()
        return chunk

    def remaining_s(self) -> float:
        """Seconds until the deadline; not positive when it is over."""
        return self._deadline - time.monotonic()

    def check_time(self) -> None:
        """Raises Unavailable when the deadline is over or the put was given up."""
        if self.remaining_s() <= 0:
            raise Unavailable("put: not finished before its deadline")

    def give_up(self) -> None:
        """Ends the put at its next step, whichever thread it runs in."""
        self._deadline = float("-inf")
