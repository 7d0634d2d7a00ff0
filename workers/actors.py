"""The actors: one per kind of job, each on a queue of its own name. A message carries a job's id and nothing more."""

from collections.abc import Callable
from uuid import UUID

import dramatiq
import redis
from dramatiq import Consumer, Message
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from models.job import JobKind
from workers.runner import Runner

SOCKET_TIMEOUT_S = 5
HEARTBEAT_TIMEOUT_MS = 15_000
RETRIES = 3
IDLE_POLL_MS = 25
WAITED_FOR = frozenset({JobKind.PROCESS.value, JobKind.VERIFY_VIDEO.value, JobKind.RELATE.value})
IN_BULK = frozenset({JobKind.MASK})  # thousands at once: whatever else has come goes first
LATER = 10  # than 0


# Of these a process does one at a time, and who waits for a turn holds a thread: so many are fetched, and no more until one
# of them is done. With these numbers some of a process's threads are there for others, whatever comes in bulk.
FETCHED = {JobKind.RELATE.value: 1, JobKind.MASK.value: 2}


class PromptBroker(RedisBroker):
    """Looks often for the jobs that a person waits for: Dramatiq's consumers poll, and when idle back off to a second.

    While it `is_quiet` nothing is fetched: what is in the queues is for others.
    """

    is_quiet = False

    def do_fetch(self, queue_name: str, prefetch: int) -> list[bytes]:
        if self.is_quiet:
            return []
        fetched: list[bytes] = self._dispatch("fetch")(queue_name, prefetch)  # type: ignore[no-untyped-call]  # dramatiq leaves it untyped
        return fetched

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        fetched = min(prefetch, FETCHED.get(queue_name, prefetch))
        return super().consume(queue_name, fetched, IDLE_POLL_MS if queue_name in WAITED_FOR else timeout)


def redis_broker(url: str, middleware: list[Middleware], *, maintenance_chance: int = 1000) -> PromptBroker:
    """A broker whose client has timeouts and retries, and none of Dramatiq's own retries, delays or time limits.

    `maintenance_chance` in a million: how often a command also takes back what dead workers had fetched.
    """
    client = redis.Redis.from_url(
        url,
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=SOCKET_TIMEOUT_S,
        socket_keepalive=True,
        health_check_interval=30,
        retry=Retry(ExponentialBackoff(cap=1, base=0.05), RETRIES),
    )
    return PromptBroker(  # type: ignore[no-untyped-call]  # dramatiq leaves it untyped
        client=client,
        middleware=middleware,
        heartbeat_timeout=HEARTBEAT_TIMEOUT_MS,
        maintenance_chance=maintenance_chance,
    )


def declare_actors(broker: RedisBroker, runner: Callable[[], Runner]) -> None:
    """Declare an actor for each kind of job. `runner` gives the runner of this process once the worker has booted."""

    async def run(job_id: str) -> None:
        await runner().run(UUID(job_id))

    for kind in JobKind:
        priority = LATER if kind in IN_BULK else 0
        dramatiq.actor(actor_name=kind.value, queue_name=kind.value, priority=priority, broker=broker)(run)


def message_for(kind: JobKind, job_id: UUID) -> Message[None]:
    """The message that rings for a job."""
    return Message(queue_name=kind.value, actor_name=kind.value, args=(str(job_id),), kwargs={}, options={})
