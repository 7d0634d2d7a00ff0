"""The watchdog: a process that only looks healthy leaves, a healthy one stays."""

import asyncio
import sys

import pytest

from workers.watchdog import EXIT_CODE

WORKER = """
import asyncio, os, threading, time
from dramatiq import Worker
from dramatiq.brokers.stub import StubBroker
from workers.watchdog import exit_when_stuck, exit_with_parent

broker = StubBroker()
broker.declare_queue("jobs")
worker = Worker(broker, worker_threads=1)
worker.start()
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
exit_when_stuck(worker, loop, stall_s=1)
{then}
time.sleep(60)
"""


async def end_of(then: str) -> int:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER.format(then=then))
    async with asyncio.timeout(50):
        return await process.wait()


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param("worker.consumers['jobs'].stop()", id="a consumer thread died"),
        pytest.param("worker.workers[0].stop()", id="a worker thread died"),
        pytest.param("loop.call_soon_threadsafe(time.sleep, 60)", id="the event loop stalls"),
        pytest.param("exit_with_parent(1 if os.getppid() != 1 else 2)", id="the parent is another"),
    ],
)
async def test_a_process_in_trouble_leaves(trouble: str) -> None:
    assert await end_of(trouble) == EXIT_CODE


async def test_a_healthy_process_stays() -> None:
    assert await end_of("exit_with_parent(os.getppid()); time.sleep(2.5); os._exit(0)") == 0
