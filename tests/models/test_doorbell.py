"""The doorbell: however often it is rung, one look is enough; without Redis it holds up nobody."""

import asyncio
import contextlib

from models.doorbell import CHANNEL, Doorbell, Listener, connect


async def test_rings_that_pile_up_wake_once_for_all(redis_url: str) -> None:
    listener, redis = Listener(redis_url), connect(redis_url)
    await listener.wait(0.01)  # listens from here on
    for _ in range(50):
        await redis.publish(CHANNEL, b"")
    woken = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            while woken < 50:
                await listener.wait(60)
                woken += 1
    assert (
        0 < woken < 25
    )  # once, and whenever another test rings: a channel is common to all databases of a Redis
    await listener.close()
    await redis.aclose()


async def test_a_ring_is_heard(redis_url: str) -> None:
    listener = Listener(redis_url)
    await listener.wait(0.01)
    async with Doorbell(redis_url) as doorbell, asyncio.timeout(30):
        doorbell.ring()
        await listener.wait(60)
    await listener.close()


async def test_without_redis_ringing_raises_nothing_and_waiting_only_waits() -> None:
    listener = Listener("redis://127.0.0.1:1")
    async with Doorbell("redis://127.0.0.1:1") as doorbell:
        doorbell.ring()
        await listener.wait(0.1)
        doorbell.ring()
    await listener.close()
