"""The bound on what waits in Postgres: how many bytes of payload there are, so that past a cap nothing more is let in.

Each process measures in the background, seldom enough to take at most a `SHARE`th of Postgres's time, and adds what it accepted
itself since the measuring began. What others accept it sees with the next one: by that much, together, processes may exceed
the cap. Nothing is counted for longer than to the next measuring, so nothing can drift.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import structlog

from app.errors import ApiError, Code

EVERY_S = 2.0
SHARE = 20
RETRY_S = 10

log = structlog.get_logger()


class Pending:
    """Watches the bytes that wait. Use as an async context manager."""

    def __init__(self, measure: Callable[[], Awaitable[int]], cap: int) -> None:
        self._measure = measure
        self._cap = cap
        self._measured = 0
        self._on_their_way = 0
        self._since = 0  # accepted since the latest measuring began
        self._meanwhile = 0  # accepted since the one that goes on began
        self._took_s = 0.0
        self._is_full = False
        self._stopped = False
        self._task: asyncio.Task[None] | None = None

    @property
    def cap(self) -> int:
        """Beyond so many bytes nothing more is let in."""
        return self._cap

    @property
    def size(self) -> int:
        """Bytes that wait, as far as this process knows."""
        return self._measured + self._since + self._on_their_way

    def check(self) -> None:
        """Raise ApiError when nothing more is let in."""
        full = self.size >= self._cap
        if full != self._is_full:
            self._is_full = full
            log.warning("pending_full" if full else "pending_not_full", cap=self._cap)
        if full:
            detail = "Too many bytes are waiting to be processed. Nothing was stored; try again later."
            raise ApiError(Code.OVERLOADED, detail, headers={"Retry-After": str(RETRY_S)})

    @contextmanager
    def adding(self, size: int) -> Iterator[None]:
        """Around what stores so many bytes more. Raises ApiError when nothing more is let in."""
        self.check()
        self._on_their_way += size
        try:
            yield
        finally:  # whatever came of it: the next measuring knows
            self._on_their_way -= size
            self._since += size
            self._meanwhile += size

    async def _watch(self) -> None:
        # A flag, beside the cancellation: before Python 3.12 `asyncio.wait_for`, deep in drivers, can swallow that.
        while not self._stopped:
            await asyncio.sleep(max(EVERY_S, SHARE * self._took_s))
            await self._look()

    async def _look(self) -> None:
        began, self._meanwhile = time.monotonic(), 0
        try:
            self._measured = await self._measure()
        except Exception as error:  # the old figure stays, and what is accepted is still added
            log.warning("pending_not_measured", error=f"{type(error).__name__}: {str(error)[:200]}")
        else:
            self._since = self._meanwhile
        self._took_s = time.monotonic() - began

    async def __aenter__(self) -> Self:
        await self._look()
        self._task = asyncio.create_task(self._watch(), name="pending")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped = True
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
