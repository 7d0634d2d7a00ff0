"""The doorbell: a word through Redis to the dispatcher that something became due.

Losing it costs time, never work: the dispatcher also looks by itself. So ringing never blocks and never raises, and
however often one rings while Redis is away, one task is all that waits.
"""

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

CHANNEL = "tapedeck:wake"
TIMEOUT_S = 1.0
MOST_AT_ONCE = 1000
PAUSE_S = 0.02  # after a ring: rings that come meanwhile are one


def connect(url: str) -> Redis:
    """A client that gives up quickly: nothing that matters waits for Redis."""
    return Redis.from_url(
        url,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )


class Doorbell:
    """Rings the dispatcher. Use as an async context manager, in the event loop that rings."""

    def __init__(self, redis_url: str) -> None:
        self._redis = connect(redis_url)
        self._pressed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._ring_when_pressed(), name="doorbell")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._redis.aclose()

    def ring(self) -> None:
        """Something is due. Returns at once; call it after the commit."""
        self._pressed.set()

    async def is_away(self) -> bool:
        """Whether Redis does not answer now."""
        try:
            await self._redis.ping()
        except (RedisError, OSError, TimeoutError):
            return True
        return False

    async def _ring_when_pressed(self) -> None:
        while not _is_cancelled():
            await self._pressed.wait()
            self._pressed.clear()
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await self._redis.publish(CHANNEL, b"")
            await asyncio.sleep(PAUSE_S)


class Listener:
    """Hears the doorbell, on the dispatcher's side."""

    def __init__(self, redis_url: str) -> None:
        self._redis = connect(redis_url)
        self._pubsub = self._redis.pubsub(ignore_subscribe_messages=True)

    async def wait(self, timeout_s: float) -> None:
        """Return when somebody rang, or after `timeout_s`. With Redis away it only waits."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        try:
            if not self._pubsub.subscribed:
                await self._pubsub.subscribe(CHANNEL)
            while (left := deadline - asyncio.get_running_loop().time()) > 0:
                if await self._pubsub.get_message(timeout=left) is not None:
                    for _ in range(MOST_AT_ONCE):  # many may have rung meanwhile: one look is enough for all
                        if await self._pubsub.get_message(timeout=0) is None:
                            break
                    return
        except (RedisError, OSError, TimeoutError):
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await self._pubsub.aclose()  # type: ignore[no-untyped-call]  # redis leaves it untyped
            await asyncio.sleep(max(0, deadline - asyncio.get_running_loop().time()))

    async def close(self) -> None:
        await self._pubsub.aclose()  # type: ignore[no-untyped-call]  # redis leaves it untyped
        await self._redis.aclose()


def _is_cancelled() -> bool:
    """Whether the current task was cancelled, even if a library swallowed it: Python 3.11's `wait_for` can."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
