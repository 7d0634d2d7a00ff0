"""Looks that are shared: what one viewer of a page is shown, another one may be shown a moment later."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

FRESH_S = 1.0

T = TypeVar("T")


class _Look(NamedTuple):
    stale_at: float
    task: asyncio.Task[Any]

    @property
    def is_fresh(self) -> bool:
        return not self.task.done() or time.monotonic() < self.stale_at


class Shared:
    """What was looked up lately, or is being looked up, by what was asked."""

    def __init__(self) -> None:
        self._looks: dict[Hashable, _Look] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    async def get(
        self, asked: Hashable, look: Callable[[], Coroutine[Any, Any, T]], *, fresh_s: float = 0
    ) -> T:
        """What `look` finds, or the look at the same that another caller began at most `fresh_s` ago, or FRESH_S. Raises what it
        raises."""
        self._looks = {key: known for key, known in self._looks.items() if known.is_fresh}
        if (known := self._looks.get(asked)) is None:
            known = self._looks[asked] = _Look(
                time.monotonic() + max(fresh_s, FRESH_S), asyncio.create_task(look())
            )
            self._tasks.add(known.task)
            known.task.add_done_callback(self._done)
        found: T = await asyncio.shield(known.task)
        return found

    def forget(self) -> None:
        """Something was changed: what was seen before that is not for who asks from now on."""
        self._looks = {}

    async def close(self) -> None:
        """End what goes on."""
        for task in list(self._tasks):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited for it may have gone
