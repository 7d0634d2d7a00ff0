"""How many new recordings an import may make."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class Limit:
    """Lets threads through one by one until so many have succeeded; one that fails leaves its place to another.

    `count` None: no limit.
    """

    def __init__(self, count: int | None) -> None:
        self._left = count
        self._trying = 0
        self._changed = Condition()

    @property
    def is_reached(self) -> bool:
        return self._left == 0

    @contextmanager
    def place(self) -> Iterator[bool]:
        """Whether there is a place. Within, it is held; `taken` keeps it."""
        with self._changed:
            self._changed.wait_for(lambda: self._left is None or self._left == 0 or self._trying < self._left)
            granted = not self.is_reached
            self._trying += granted
        try:
            yield granted
        finally:
            with self._changed:
                self._trying -= granted
                self._changed.notify_all()

    def taken(self) -> None:
        """One more has succeeded. Call it within `place`."""
        with self._changed:
            if self._left is not None:
                self._left -= 1
