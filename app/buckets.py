"""Token buckets that all web processes share through Redis, and of a process's own while Redis is away.

The algorithm is throttled-py's GCRA (ATM Forum's Generic Cell Rate Algorithm), a token bucket that is kept as one number: a
bucket starts full and fills at a constant rate; its key in Redis expires when it is full again. Two things are added here:

- *Leases.* A process takes tokens from Redis by the `STEPS`th part of a quota, and spends them by itself for at most
  `LEASE_S`. So most requests cost no round trip, and each process may spend that part early. A quota below `STEPS` is counted
  token by token, and so is one that runs out.
- *Outages.* The first command that fails, or takes longer than `PATIENCE_S`, makes all go on with buckets in memory at once,
  each process with the whole quota. Every `AWAY_S` one of them, alone, looks whether Redis is back.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from throttled.asyncio import MemoryStore, RedisStore, per_min
from throttled.asyncio.rate_limiter import RateLimitResult
from throttled.asyncio.rate_limiter.gcra import GCRARateLimiter
from throttled.exceptions import StoreUnavailableError

WINDOW_S = 60
STEPS = 500  # of a quota, in which it is leased
LEASE_S = 10.0
PATIENCE_S = 1.0
AWAY_S = 5.0
MOST_CONNECTIONS = 8
MOST_OWNERS = 20_000  # whose leases, and whose buckets in memory, a process remembers
PREFIX = "tapedeck:rate"

log = structlog.get_logger()


class Taken(NamedTuple):
    """Whether the tokens were there. `left`: tokens that are; `wait_s`: until those that were missing are."""

    granted: bool
    left: int
    wait_s: float = 0


@dataclass
class _Lease:
    """Tokens that this process has taken and not spent; `behind` were left in the bucket when it last asked."""

    until: float
    behind: int
    tokens: int = 0


class _SharedStore(RedisStore):
    async def close(self) -> None:
        client = self._backend.get_client()
        await client.connection_pool.disconnect()  # type: ignore[attr-defined]  # a client of redis-py has one


class Stores:
    """Where buckets are. Close it in the event loop that it was used in."""

    def __init__(self, redis_url: str) -> None:
        pool = {
            "max_connections": MOST_CONNECTIONS,
            "timeout": PATIENCE_S,
            "socket_timeout": PATIENCE_S,
            "socket_connect_timeout": PATIENCE_S,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
        }
        options = {
            "CONNECTION_POOL_CLASS": "redis.asyncio.BlockingConnectionPool",
            "CONNECTION_POOL_KWARGS": pool,
        }
        self.shared = _SharedStore(redis_url, options)
        self.own = MemoryStore(options={"MAX_SIZE": MOST_OWNERS})
        self._away_until: float | None = None

    def may_share(self) -> bool:
        """Whether to ask Redis. While it is away, one request in `AWAY_S` may."""
        now = time.monotonic()
        if self._away_until is None:
            return True
        if now < self._away_until:
            return False
        self._away_until = now + AWAY_S
        return True

    def answered(self) -> None:
        """Redis did."""
        if self._away_until is not None:
            log.info("rate_limits_shared_again")
        self._away_until = None

    def failed(self, error: BaseException) -> None:
        """Redis did not answer."""
        if self._away_until is None:
            log.warning("rate_limits_not_shared", error=f"{type(error).__name__}: {str(error)[:200]}")
        self._away_until = time.monotonic() + AWAY_S

    async def close(self) -> None:
        with suppress(RedisError, OSError, TimeoutError):
            await self.shared.close()


class Bucket:
    """A bucket for each owner, of `quota` tokens, which it takes a minute to fill."""

    def __init__(self, stores: Stores, name: str, quota: int) -> None:
        self.quota = quota
        self._stores = stores
        self._step = max(1, quota // STEPS)
        rate, prefix = per_min(quota), f"{PREFIX}:{name}"
        self._shared = GCRARateLimiter(rate, stores.shared, key_prefix=prefix)
        self._own = GCRARateLimiter(rate, stores.own, key_prefix=prefix)
        self._leases: dict[str, _Lease] = {}

    async def take(self, owner: str, tokens: int) -> Taken:
        """Take all of these tokens, or none. More than the quota are as many as the quota: they need a full bucket."""
        tokens = min(tokens, self.quota)
        lease = self._lease(owner)
        while lease.tokens < tokens:
            missing = tokens - lease.tokens
            asked = missing if lease.behind < self._step else max(missing, self._step)
            result = await self._limit(owner, asked)
            if result.limited and asked > missing:
                asked = missing
                result = await self._limit(owner, asked)
            lease.behind = result.state.remaining
            if result.limited:
                return Taken(False, self._left(lease), result.state.retry_after)
            lease.tokens += asked
        lease.tokens -= tokens
        return Taken(True, self._left(lease))

    def give_back(self, owner: str, tokens: int) -> Taken:
        """What was taken for a request that another bucket refused is there for the owner's next one."""
        lease = self._lease(owner)
        lease.tokens += min(tokens, self.quota)
        return Taken(True, self._left(lease))

    def _left(self, lease: _Lease) -> int:
        return min(self.quota, lease.tokens + lease.behind)

    def _lease(self, owner: str) -> _Lease:
        lease, now = self._leases.get(owner), time.monotonic()
        if lease is None or lease.until < now:
            self._leases.pop(owner, None)  # the oldest are the first
            lease = self._leases[owner] = _Lease(now + LEASE_S, behind=self.quota)
            if len(self._leases) > MOST_OWNERS:
                del self._leases[next(iter(self._leases))]
        return lease

    async def _limit(self, owner: str, tokens: int) -> RateLimitResult:
        if self._stores.may_share():
            try:
                async with asyncio.timeout(PATIENCE_S):
                    result = await self._shared.limit(owner, tokens)
            except (StoreUnavailableError, RedisError, OSError, TimeoutError) as error:
                self._stores.failed(error.__cause__ or error)
            else:
                self._stores.answered()
                return result
        return await self._own.limit(owner, tokens)


async def take_all(wanted: Sequence[tuple[Bucket, str, int]]) -> list[Taken]:
    """Take tokens from each bucket, or from none: the last one, then, is the one that refused."""
    taken: list[Taken] = []
    for number, (bucket, owner, tokens) in enumerate(wanted):
        taken.append(await bucket.take(owner, tokens))
        if not taken[-1].granted:
            taken[:number] = [other.give_back(whose, given) for other, whose, given in wanted[:number]]
            break
    return taken
