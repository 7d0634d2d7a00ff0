"""A bound on the memory that request bodies take: decompressed bytes of all requests in flight, per process."""

import threading
from types import TracebackType
from typing import Self


class OverBudget(Exception):
    """Other requests hold the bytes that this one needs."""


class ByteBudget:
    """`total` bytes to be shared by all holds. Safe to use from threads."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._lock = threading.Lock()

    @property
    def free(self) -> int:
        """Bytes that nobody holds."""
        return self._free

    def hold(self) -> "Hold":
        """A share that starts empty; use it as a context manager."""
        return Hold(self)

    def _take(self, size: int) -> None:
        with self._lock:
            if size > self._free:
                raise OverBudget
            self._free -= size

    def _give(self, size: int) -> None:
        with self._lock:
            self._free += size


class Hold:
    """What one request holds of the budget, given back when the block ends."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._held = 0
        self._lock = threading.Lock()
        self._over = False

    def take(self, size: int) -> None:
        """Hold `size` bytes more. Raises OverBudget, also once the block is over (a thread may outlive its request)."""
        with self._lock:
            if self._over:
                raise OverBudget
            self._budget._take(size)
            self._held += size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._over = True
            self._budget._give(self._held)
            self._held = 0
