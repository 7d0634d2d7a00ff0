"""The bytes of one put, checked while they pass."""

from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c

from storage.deadline import Deadline
from storage.protocol import Refused

CHUNK = 1024 * 1024


class Source:
    """What a put sends: iterated anew for each try, from where `body` stood.

    Iteration raises Refused at its end when the bytes were not those announced, so that a sender who finishes only
    after the last chunk never finishes a wrong object; Unavailable as soon as the deadline is over.
    """

    def __init__(self, body: BinaryIO, *, size: int, crc32c: int, deadline: Deadline) -> None:
        self.size = size
        self.crc32c = crc32c
        self.deadline = deadline
        self._body = body
        self._origin = body.tell()

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
        self.deadline.check()
        return chunk
