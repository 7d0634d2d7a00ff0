"""The heartbeat of a process: its row (`models.processes`), and what an operator asks of it there."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.metadata import version
from typing import NoReturn, Self

import structlog

from models import processes
from models.db import Database
from models.ids import new_id
from models.processes import HEARTBEAT_S, Process, Role

LEAVE_S = 2.0  # a process that ends does not wait longer to say so: its row is then forgotten as that of one that is gone

log = structlog.get_logger()


def name() -> str:
    """What the jobs that this process runs say of it."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Heartbeat:
    """Writes this process's row, from the begin of its block to the end. `quiet` hears when a worker is to begin no more
    jobs, or work again."""

    def __init__(
        self,
        db: Database,
        role: Role,
        *,
        kinds: Iterable[str] = (),
        threads: int = 1,
        quiet: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._db = db
        self._quiet = quiet
        self._is_quiet = False
        self._task: asyncio.Task[None] | None = None
        self._me = Process(
            id=new_id(),
            role=role,
            name=name(),
            host=socket.gethostname(),
            pid=os.getpid(),
            version=version("tapedeck"),
            kinds=sorted(kinds),
            threads=threads,
        )

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="heartbeat")
        return self

    async def __aexit__(self, *_: object) -> None:
        while self._task is not None and not self._task.done():  # a driver may swallow a cancellation
            self._task.cancel()
            await asyncio.wait([self._task], timeout=LEAVE_S)
        with suppress(Exception):  # Postgres is away: nothing is lost
            async with asyncio.timeout(LEAVE_S):
                await self.end()

    async def _run(self) -> NoReturn:
        while True:
            try:
                await self.beat()
            except Exception as error:  # whatever it is, the next one may go through
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
                log.warning("no_heartbeat", error=reason)
            await asyncio.sleep(HEARTBEAT_S)

    async def beat(self) -> None:
        """Say that this process is there, and do what is asked of it."""
        is_quiet = await processes.beat(self._db, self._me)
        if is_quiet != self._is_quiet:
            self._is_quiet = is_quiet
            self._quiet(is_quiet)
            log.info("worker_drains" if is_quiet else "worker_resumes")

    async def end(self) -> None:
        """This process ends."""
        await processes.leave(self._db, self._me.id)
