"""When one operation must be over."""

import time

from storage.protocol import Unavailable


class Deadline:
    """`seconds` from now, by the monotonic clock; `what` begins its message."""

    def __init__(self, what: str, seconds: float) -> None:
        self._what = what
        self._end = time.monotonic() + seconds

    def remaining_s(self) -> float:
        """Seconds until it; not positive when it is over."""
        return self._end - time.monotonic()

    def check(self) -> None:
        """Raises Unavailable when it is over or the operation was given up."""
        if self.remaining_s() <= 0:
            raise Unavailable(f"{self._what}: not finished before its deadline")

    def give_up(self) -> None:
        """Ends the operation at its next step, whichever thread it runs in."""
        self._end = float("-inf")
