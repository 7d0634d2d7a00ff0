"""The broker: what a worker process fetches of each queue."""

from uuid import uuid4

import pytest
from dramatiq import Consumer

from models.job import JobKind
from workers.actors import message_for, redis_broker

THREADS = 4
PREFETCH = 2 * THREADS


def fetched(consumer: Consumer) -> list[object]:
    """All messages that the consumer gives before one of them is done."""
    return list(iter(consumer.__next__, None))


@pytest.mark.parametrize(("kind", "at_once"), [(JobKind.RELATE, 1), (JobKind.MASK, 2), (JobKind.PROCESS, 5)])
def test_jobs_that_take_turns_leave_threads_to_others(redis_url: str, kind: JobKind, at_once: int) -> None:
    broker = redis_broker(redis_url, [])
    broker.declare_queue(kind.value)
    for _ in range(5):
        broker.enqueue(message_for(kind, uuid4()))
    consumer = broker.consume(kind.value, prefetch=PREFETCH, timeout=1)
    messages = fetched(consumer)
    assert len(messages) == at_once
    consumer.ack(messages[0])
    assert len(fetched(consumer)) == min(1, 5 - at_once)
    broker.flush_all()
    broker.close()
