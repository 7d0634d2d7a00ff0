"""Ends a worker process that only looks healthy.

A Dramatiq consumer thread can die for good (its error handler raised while Redis was away) and an event loop can
stall; either way the process stays and does nothing. A thread that hangs in a job cannot be ended by itself
(`workers.leases` notices). And when the master process is killed, its children would go on.
In all these cases leaving at once is right: leases run out, and whoever started the worker starts it again.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable

import structlog
from dramatiq import Worker

EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h
LOOK_S = 0.5

log = structlog.get_logger()


def exit_with_parent(parent: int) -> None:
    """From now on, leave as soon as the parent is another process than `parent`. Works on every POSIX system.

    Name the parent that started this process: asking for it here could come after its death.
    """
    _watch("parent watch", lambda: None if os.getppid() == parent else "the parent process is gone")


def exit_when_stuck(worker: Worker, loop: asyncio.AbstractEventLoop, *, stall_s: float) -> threading.Event:
    """Leave when a thread of the worker is dead, or its event loop did not turn for `stall_s`. Set the event to stop."""
    turned = time.monotonic()

    def turn() -> None:
        nonlocal turned
        turned = time.monotonic()

    def look() -> str | None:
        loop.call_soon_threadsafe(turn)
        dead = [
            thread.name for thread in (*worker.consumers.values(), *worker.workers) if not thread.is_alive()
        ]
        if dead:
            return f"threads died: {', '.join(dead)}"
        if time.monotonic() - turned > stall_s:
            return f"the event loop stalled for {stall_s:g} s"
        return None

    return _watch("watchdog", look)


def leave(reason: str) -> None:
    """Leave now."""
    log.critical("leaving", reason=reason)
    os._exit(EXIT_CODE)


def leave_after(seconds: float) -> None:
    """Leave when a shutdown has not ended by then."""

    timer = threading.Timer(seconds, leave, [f"the shutdown took longer than {seconds:g} s"])
    timer.daemon = True
    timer.start()


def _watch(name: str, look: Callable[[], str | None]) -> threading.Event:
    stopped = threading.Event()

    def watch() -> None:
        while not stopped.wait(LOOK_S):
            if (trouble := look()) and not stopped.is_set():
                leave(trouble)

    threading.Thread(target=watch, name=name, daemon=True).start()
    return stopped
