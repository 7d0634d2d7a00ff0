"""The ringer: sends messages for jobs that are ready, so many that each queue's window is full.

A backlog waits in Postgres, where nothing is lost and everybody's turn comes (`models.turns`). A ring that nobody
answered is repeated, so a flushed Redis heals by itself.
"""

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID

from models import turns, windows
from models.db import Database
from models.doorbell import connect
from models.job import JobKind, Priority
from models.turns import NOBODY, Ready
from models.windows import Windows
from settings import Settings
from workers.actors import message_for, redis_broker

BULK_SHARE = 16  # of a window, one in so many
RIPE_AT_ONCE = 2000
ALWAYS = 1_000_000


class Ringer:
    """Rings for what is ready, and remembers of each queue whose turn was last."""

    def __init__(
        self, settings: Settings, db: Database, rung: Callable[[JobKind, int], None] = lambda *_: None
    ) -> None:
        self._rung = rung  # hears how many messages were sent
        self._settings = settings
        self._db = db
        # Each look at a queue's size also takes back what workers that died had fetched from it.
        self._broker = redis_broker(settings.redis_url, [], maintenance_chance=ALWAYS)
        self._redis = connect(settings.redis_url)
        self._last: dict[tuple[JobKind, Priority], UUID] = {}

    async def look(self) -> Sequence[Ready]:
        """What there is to ring for."""
        async with self._db.transaction() as session:
            await turns.ripen(session, limit=RIPE_AT_ONCE)
            return await turns.ready(session, tenant_running_max=self._settings.tenant_running_max)

    async def ring(self, wanted: Ready) -> bool:
        """Fill this queue's window. True when jobs may be left that did not fit, or are at a limit."""
        size = await asyncio.to_thread(self._size, wanted.kind)
        room = self._window(wanted.priority) - size
        if room <= 0:
            return True
        turn = wanted.kind, wanted.priority
        after, again_s = self._last.get(turn, NOBODY), self._settings.ring_again_s
        async with self._db.transaction() as session:
            rung = await turns.ring(session, wanted, after=after, room=room, again_s=again_s)
        if rung.last is not None:
            self._last[turn] = rung.last
        if rung.jobs:
            await asyncio.to_thread(self._enqueue, wanted.kind, rung.jobs)
            self._rung(wanted.kind, len(rung.jobs))
        return rung.more

    async def tell_windows(self) -> None:
        """Say how full the windows are, to whoever asks."""
        messages = {kind.value: await asyncio.to_thread(self._size, kind) for kind in JobKind}
        await windows.tell(self._redis, Windows(self._settings.ring_window, messages))

    async def close(self) -> None:
        await self._redis.aclose()

    def _size(self, kind: JobKind) -> int:
        size: int = self._broker.do_qsize(kind.value)
        return size

    def _window(self, priority: Priority) -> int:
        """Who is waited for comes behind what is in the queue already, so of what comes in bulk that is little."""
        window = self._settings.ring_window
        return window if priority is Priority.AWAITED else max(1, window // BULK_SHARE)

    def _enqueue(self, kind: JobKind, due: Sequence[UUID]) -> None:
        for job_id in due:
            self._broker.enqueue(message_for(kind, job_id))
