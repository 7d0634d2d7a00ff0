"""The worker process: broker, middleware, actors. `dramatiq workers.main:start` runs it."""

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from types import FrameType

import dramatiq
from dramatiq import Broker, Worker
from dramatiq.asyncio import get_event_loop_thread
from dramatiq.middleware import AsyncIO, Middleware

import logs
import settings
from metrics import new_registry
from models.db import Database
from models.heartbeat import Heartbeat
from models.processes import Role
from settings import Settings, SettingsError
from traces import open_traces
from workers.actors import PromptBroker, declare_actors, redis_broker
from workers.garbage import collect_rarely
from workers.leases import Leases
from workers.metrics import JobMetrics, served
from workers.runner import Runner
from workers.tools import LIMIT_SHARE_OF_LEASE, check_start, open_tools
from workers.watchdog import exit_when_stuck, exit_with_parent, leave, leave_after

START_TIMEOUT_S = 30
SHUTDOWN_S = 10  # beyond the time that jobs have: for what Dramatiq does with Redis at its end
STALL_SHARE_OF_LEASE = 0.5


class Runtime(Middleware):
    """Opens what the jobs need when the worker boots, in its event loop, and closes it there.

    Stands after AsyncIO, whose event loop it uses.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open = AsyncExitStack()
        self._runner: Runner | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._watchdog: threading.Event | None = None

    def runner(self) -> Runner:
        """The runner of this process. Raises RuntimeError before the worker has booted."""
        if self._runner is None:
            raise RuntimeError("the worker has not booted")
        return self._runner

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        try:
            _in_event_loop(self._start(broker, worker))
        except Exception as error:  # Dramatiq would log what a hook raises, and go on without what it opens
            leave(f"the worker could not start: {error}")

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        stall_s = self._settings.lease_s * STALL_SHARE_OF_LEASE
        self._watchdog = exit_when_stuck(worker, _event_loop(), stall_s=stall_s)

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        if self._watchdog is not None:
            self._watchdog.set()
        leave_after(self._settings.drain_s + SHUTDOWN_S)
        drain = self.runner().drain(self._settings.drain_s)
        asyncio.run_coroutine_threadsafe(drain, _event_loop())  # the worker's threads end as their jobs do

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        _in_event_loop(self._stop())

    async def _start(self, broker: Broker, worker: Worker) -> None:
        config = self._settings
        threads = worker.worker_threads
        traces = open_traces("worker", are_on=config.traces_are_on)
        self._open.push_async_callback(asyncio.to_thread, traces.close)
        tools = await self._open.enter_async_context(
            open_tools(config, pool_size=threads + 1, application="tapedeck worker", traces=traces)
        )
        await check_start(tools.db)
        renewal = Database(
            config.database_url,
            pool_size=1,
            limit_s=config.lease_s * LIMIT_SHARE_OF_LEASE,
            application="tapedeck lease renewal",
        )
        self._open.push_async_callback(renewal.close)
        leases = Leases(
            renewal,
            lease_s=config.lease_s,
            put_deadline_s=config.put_deadline_s,
            job_timeout_s=config.job_timeout_s,
            leave=leave,
        )
        registry = new_registry("worker")
        pools = {"worker": tools.db, "renewal": renewal}
        await self._open.enter_async_context(served(registry, config, pools))
        runner = self._runner = Runner(config, tools, leases, JobMetrics(registry))

        def quiet(is_quiet: bool) -> None:
            runner.is_quiet = is_quiet
            if isinstance(broker, PromptBroker):
                broker.is_quiet = is_quiet

        kinds = worker.consumer_whitelist or broker.get_declared_queues()
        heartbeat = Heartbeat(tools.db, Role.WORKER, kinds=kinds, threads=threads, quiet=quiet)
        await self._open.enter_async_context(heartbeat)
        self._tasks = [asyncio.create_task(leases.run(), name="lease renewal")]

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks, timeout=SHUTDOWN_S) if self._tasks else None
        await self._open.aclose()


def start() -> None:
    """Set the broker and declare the actors. The Dramatiq command calls this in each worker process."""
    master = multiprocessing.parent_process()
    exit_with_parent(master.pid if master and master.pid else os.getppid())
    try:
        config = settings.load()
    except SettingsError as error:
        sys.exit(str(error))
    logs.configure(config.log_format)
    runtime = Runtime(config)
    broker = redis_broker(config.redis_url, [AsyncIO(), runtime])
    declare_actors(broker, runtime.runner)
    dramatiq.set_broker(broker)
    collect_rarely()
    _stop_only_once()


def _stop_only_once() -> None:
    """Ignore every SIGTERM after the first: its shutdown is under way, and bounded.

    Who stops a process group reaches this process twice, directly and through Dramatiq's master. At the second signal
    Dramatiq ends the main thread only: the others would go on in an interpreter that is shutting down.
    """
    stop = signal.getsignal(signal.SIGTERM)
    if not callable(stop):
        return  # not in a Dramatiq worker process

    def stop_once(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        stop(number, frame)

    signal.signal(signal.SIGTERM, stop_once)


def _event_loop() -> asyncio.AbstractEventLoop:
    thread = get_event_loop_thread()
    if thread is None:
        raise RuntimeError("the AsyncIO middleware is missing")
    return thread.loop


def _in_event_loop(coroutine: Coroutine[None, None, None]) -> None:
    asyncio.run_coroutine_threadsafe(coroutine, _event_loop()).result(START_TIMEOUT_S)
