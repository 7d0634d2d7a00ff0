"""Holding answers until a recording's status changes: one task and one query for all who wait, no connection each."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection
from types import TracebackType
from typing import NamedTuple, Self
from uuid import UUID

import structlog

from models.recording import Status

POLL_S = 0.05
MOST_WAITING = 5000

log = structlog.get_logger()

ReadStatuses = Callable[[Collection[UUID]], Awaitable[dict[UUID, Status]]]


class _Waiting(NamedTuple):
    recording_id: UUID
    status: Status
    changed: asyncio.Event


class Watcher:
    """Watches the statuses of recordings while somebody waits for them. Use as an async context manager."""

    def __init__(self, read_statuses: ReadStatuses, *, poll_s: float = POLL_S) -> None:
        self._read_statuses = read_statuses
        self._poll_s = poll_s
        self._waiting: set[_Waiting] = set()
        self._somebody_waits = asyncio.Event()
        self._stopped = False
        self._task: asyncio.Task[None] | None = None

    async def changed(self, recording_id: UUID, status: Status, *, timeout_s: float) -> bool:
        """Return when the recording is gone or has another status than `status`, or when the time is up.

        False, at once, when nobody can wait: too many do, or this process stops.
        """
        if self._stopped or len(self._waiting) >= MOST_WAITING:
            return False
        waiting = _Waiting(recording_id, status, asyncio.Event())
        self._waiting.add(waiting)
        self._somebody_waits.set()
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(waiting.changed.wait(), timeout_s)
        finally:
            self._waiting.discard(waiting)
        return True

    def stop(self) -> None:
        """Let go of everybody who waits, and let nobody wait any more. Call it in the event loop."""
        self._stopped = True
        for waiting in self._waiting:
            waiting.changed.set()

    async def _watch(self) -> None:
        # A flag, beside the cancellation: before Python 3.12 `asyncio.wait_for`, deep in drivers, can swallow that.
        while not self._stopped:
            if not self._waiting:
                self._somebody_waits.clear()
                await self._somebody_waits.wait()
            asked = tuple(self._waiting)  # who comes during the query is not in its answer
            try:
                statuses = await self._read_statuses({waiting.recording_id for waiting in asked})
            except Exception as error:  # those who wait are answered when their time is up
                log.warning("statuses_not_read", error=f"{type(error).__name__}: {str(error)[:200]}")
            else:
                for waiting in asked:
                    if statuses.get(waiting.recording_id) is not waiting.status:
                        waiting.changed.set()
            await asyncio.sleep(self._poll_s)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch(), name="watcher")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
