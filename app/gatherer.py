"""Figures of the whole deck, gathered in the background: what they cost grows with the number of jobs, or of attempts.

A web process gathers them every few seconds, for at most a `SHARE`th of the time, however many ask; what only pages show, while
somebody looks at one. While there is little to count, who wants to know how things are now has them gathered anew.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, Self, TypeVar

import structlog

EVERY_S = 3.0
SHARE = 20
FEW = 10_000  # rows: counted within some 10 ms
PATIENCE_S = 3.0  # how long a look is waited for; Prometheus itself waits for 10 s

T = TypeVar("T")

log = structlog.get_logger()


class Gatherer(Generic[T]):
    """Knows some figures, from the begin of its block to the end. `look` gathers them: one look at a time; `size` is how many
    rows it went through. Without `always`, nothing is gathered unless somebody asks for the `present`."""

    def __init__(
        self, name: str, look: Callable[[], Awaitable[T]], size: Callable[[T], int], *, always: bool = True
    ) -> None:
        self._name = name
        self._always = always
        self._look = look
        self._size = size
        self._known: T | None = None
        self._has_failed = False
        self._looked_at = 0.0  # when the last look that is over began
        self._cost_s = 0.0
        self._looking: asyncio.Task[None] | None = None
        self._going_on: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._always:
            self._going_on = asyncio.create_task(self._go_on(), name=self._name)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in (self._going_on, self._looking):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def recent(self) -> T | None:
        """What is known; it says of when. None when the last look failed: what is known is too old to be believed."""
        if self._known is None and not self._has_failed:
            await asyncio.wait([self._start()], timeout=PATIENCE_S)
        return self._known

    async def present(self) -> T | None:
        """As things are now while there is little to count, else as they were lately; it says of when. None as for `recent`."""
        asked = time.monotonic()
        while self._looked_at < asked and self._may_look():
            finished, _ = await asyncio.wait([self._start()], timeout=PATIENCE_S)
            if not finished:
                break
        age_s = asked - self._looked_at
        if self._known is not None and not self._always and age_s > self._pause_s:
            look = self._start()
            if age_s > 2 * self._pause_s:  # nobody has asked for a while
                await asyncio.wait([look], timeout=PATIENCE_S)
        return self._known

    @property
    def _pause_s(self) -> float:
        """From the begin of a look to that of the next."""
        return max(EVERY_S, (1 + SHARE) * self._cost_s)

    async def _go_on(self) -> None:
        while True:
            await asyncio.wait([self._start()])
            await asyncio.sleep(max(EVERY_S, SHARE * self._cost_s))

    def _may_look(self) -> bool:
        """Whether a look that somebody asks for costs next to nothing, or its share; at first, nobody knows."""
        if self._known is None:
            return time.monotonic() >= self._looked_at + (1 + SHARE) * self._cost_s
        return self._size(self._known) <= FEW

    def _start(self) -> asyncio.Task[None]:
        """The look that goes on, or a new one."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._gather(), name=f"a look at the {self._name}")
        return self._looking

    async def _gather(self) -> None:
        began = time.monotonic()
        try:
            self._known = await self._look()
            self._has_failed = False
        except Exception as error:
            if not self._has_failed:
                log.warning(f"{self._name}_not_gathered", error=f"{type(error).__name__}: {str(error)[:200]}")
            self._known, self._has_failed = None, True
        self._looked_at, self._cost_s = began, time.monotonic() - began
