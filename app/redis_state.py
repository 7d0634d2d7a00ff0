"""How Redis is: what it does when its memory is full, how much it uses, and how much waits in it."""

from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError

from models import windows
from models.windows import Windows

EVICTS_ANY_KEY = "allkeys-"


@dataclass(frozen=True)
class RedisState:
    """`policy` is `maxmemory-policy`, None where the server does not tell; `max_bytes` None: no limit. Without a dispatcher nobody
    tells the `windows`."""

    policy: str | None
    used_bytes: int
    max_bytes: int | None
    windows: Windows | None

    @property
    def is_fit(self) -> bool:
        """Whether it keeps what it is given: messages have no time to live, so only policies that evict any key lose them."""
        return self.policy is None or not self.policy.startswith(EVICTS_ANY_KEY)


async def state_of(redis: Redis) -> RedisState | None:
    """How it is now; None when it does not answer, within the client's timeout."""
    try:
        memory = await redis.info("memory")
        told = await windows.told(redis)
    except (RedisError, OSError, TimeoutError):
        return None
    return RedisState(
        memory.get("maxmemory_policy"), memory.get("used_memory", 0), memory.get("maxmemory") or None, told
    )
