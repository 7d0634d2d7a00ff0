"""When one operation must be over."""

import time
from typing import Self

from storage.protocol import Unavailable


class Deadline:
    """`seconds` from now, by the monotonic clock; `what` begins its message.

    As a context manager it is over when the block ends: a thread that runs on for a caller who was cancelled must not
    finish its request, or publish, any more.
    """

    def __init__(self, what: str, seconds: float) -> None:
        self._what = what
        self._end = time.monotonic() + seconds

    def remaining_s(self) -> float:
        """Seconds until it; not positive when it is over."""
        return self._end - time.monotonic()

    def check(self) -> None:
        """Raises Unavailable when it is over."""
        if self.remaining_s() <= 0:
            raise Unavailable(f"{self._what}: not finished before its deadline")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end = float("-inf")
