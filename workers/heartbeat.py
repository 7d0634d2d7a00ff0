"""The heartbeat of a worker process: its row (`models.workers`), and what an operator asks of it there."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import NoReturn

import structlog

from models import workers
from models.db import Database
from models.ids import new_id
from models.workers import HEARTBEAT_S, Worker

log = structlog.get_logger()


def name() -> str:
    """What the jobs that this process runs say of it."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Heartbeat:
    """Writes this process's row until it is cancelled. `quiet` hears when it is to begin no more jobs, or work again."""

    def __init__(
        self, db: Database, *, kinds: Iterable[str], threads: int, quiet: Callable[[bool], None]
    ) -> None:
        self._db = db
        self._quiet = quiet
        self._is_quiet = False
        self._me = Worker(
            id=new_id(),
            name=name(),
            host=socket.gethostname(),
            pid=os.getpid(),
            version=version("tapedeck"),
            kinds=sorted(kinds),
            threads=threads,
        )

    async def run(self) -> NoReturn:
        """Beat, again and again."""
        while True:
            try:
                await self.beat()
            except Exception as error:  # whatever it is, the next one may go through
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
                log.warning("no_heartbeat", error=reason)
            await asyncio.sleep(HEARTBEAT_S)

    async def beat(self) -> None:
        """Say that this process is there, and do what is asked of it."""
        is_quiet = await workers.beat(self._db, self._me)
        if is_quiet != self._is_quiet:
            self._is_quiet = is_quiet
            self._quiet(is_quiet)
            log.info("worker_drains" if is_quiet else "worker_resumes")

    async def end(self) -> None:
        """This process ends."""
        await workers.leave(self._db, self._me.id)
