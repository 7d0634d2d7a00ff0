"""Redis or Valkey: is it there, may we write, and does it keep what it is given?"""

import time
import uuid
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from app.doctor.findings import Finding, Findings, fail, line, ok, place, warn
from models.doorbell import TIMEOUT_S

TESTED = "Redis 7 and Valkey 9 are tested"
OLDEST = 7
KEY_TTL_S = 10
ANSWER_S = 5.0


async def doorbell(url: str) -> Findings:
    """All that is to be said of the Redis that the URL names."""
    client = Redis.from_url(
        url, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S, retry=Retry(NoBackoff(), 0), protocol=2
    )
    try:
        await _write(client)
        started = time.perf_counter()
        await client.ping()
        took_s = time.perf_counter() - started
        info: dict[str, Any] = await client.info()
        version = info.get("valkey_version") or info.get("redis_version", "0")
        name = "Valkey" if "valkey_version" in info else "Redis"
        says = f"{name} {version} at {place(url)} answers in {took_s * 1000:.0f} ms"
        yield ok("redis", says) if took_s < TIMEOUT_S else warn("redis", f"{says}: see what slows it down")
        if int(str(version).partition(".")[0]) < OLDEST:
            yield warn("redis", f"{name} {version} is old: upgrade it; {TESTED}")
        yield _of_eviction(info)
        yield await _of_persistence(client, info)
    except (RedisError, OSError) as error:
        says = f"cannot use Redis at {place(url)}: {line(error)}; start it, or correct REDIS_URL"
        yield fail("redis", says)
    finally:
        await client.aclose()


async def _write(client: Redis) -> None:
    key = f"tapedeck:doctor:{uuid.uuid4()}"
    await client.set(key, b"", ex=KEY_TTL_S)
    await client.delete(key)


def _of_eviction(info: dict[str, Any]) -> Finding:
    policy = info.get("maxmemory_policy", "unknown")
    if policy == "noeviction":
        return ok("redis policy", "maxmemory-policy is noeviction")
    says = f"maxmemory-policy is {policy}: set noeviction, or messages vanish when memory is full"
    return fail("redis policy", says)


async def _of_persistence(client: Redis, info: dict[str, Any]) -> Finding:
    check = "redis persistence"
    if info.get("aof_enabled"):
        return ok(check, "keeps an append-only file")
    try:
        snapshots = (await client.config_get("save")).get("save")
    except ResponseError:  # a managed server need not tell
        return ok(check, "no append-only file; snapshots cannot be asked for")
    if snapshots:
        return ok(check, "saves snapshots")
    says = (
        "off: a restart forgets which jobs were rung, and they wait until they are rung again; nothing is lost. "
        "To spare the wait, set appendonly yes"
    )
    return warn(check, says)
