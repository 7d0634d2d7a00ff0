"""Windows: how many messages of each queue wait in Redis. The dispatcher, whose broker knows, tells; who wants to know reads.

One key of our own, which is gone some seconds after the last dispatcher.
"""

from collections.abc import Mapping

import msgspec
from redis.asyncio import Redis

KEY = "tapedeck:windows"
TOLD_S = 10


class Windows(msgspec.Struct, frozen=True):
    """Messages in Redis by kind of job, those that workers have fetched included; no more than `window` are sent to each."""

    window: int
    messages: Mapping[str, int]


async def tell(redis: Redis, windows: Windows) -> None:
    """Say how it is. Raises what the client raises."""
    await redis.set(KEY, msgspec.json.encode(windows), ex=TOLD_S)


async def told(redis: Redis) -> Windows | None:
    """What a dispatcher said last; None when none has for a while, or it was another version's. Raises what the client raises."""
    said = await redis.get(KEY)
    try:
        return None if said is None else msgspec.json.decode(said, type=Windows)
    except msgspec.MsgspecError:
        return None
