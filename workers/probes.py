"""Probes: whether what jobs need can be reached; `models.breakers` says what follows from it.

A probe is due when a job could not reach it, every few seconds while jobs run (an outage is found before the first of them
has lost its patience), and again and again until it is back. A probe that hangs is one that failed, and there is never more
than one of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from models import breakers
from models.breakers import BreakerState, Dependency
from models.db import Database
from storage.protocol import Storage, StorageError, Unavailable

PATIENCE_S = 5.0

log = structlog.get_logger()


class Prober:
    """Probes what is due. `longest_s` is how long a breaker may hold jobs back."""

    def __init__(self, db: Database, storage: Storage, *, longest_s: float) -> None:
        self._db = db
        self._longest_s = longest_s
        self._checks: Mapping[Dependency, Callable[[], Awaitable[None]]] = {Dependency.STORAGE: storage.check}
        self._running: dict[Dependency, asyncio.Future[None]] = {}

    async def probe(self) -> None:
        """One look: probe what is to be probed now, and open or close its breaker."""
        for dependency in await breakers.take_probes(self._db):
            error = await self._reach(dependency)
            change = await breakers.probed(self._db, dependency, error, longest_s=self._longest_s)
            if change is None:
                continue
            if change.state is BreakerState.OPEN:
                log.warning("breaker_opened", dependency=dependency.value, error=error)
            else:
                log.info("breaker_closed", dependency=dependency.value, open_s=round(change.open_s, 1))

    async def _reach(self, dependency: Dependency) -> str | None:
        """Why it could not be reached, or None: a dependency that says no is there, and jobs will tell what it says."""
        check = self._running.get(dependency)
        if check is None:
            check = self._running[dependency] = asyncio.ensure_future(self._checks[dependency]())
        done, _ = await asyncio.wait([check], timeout=PATIENCE_S)
        if not done:
            return f"no answer for {PATIENCE_S:g} s"
        del self._running[dependency]
        match check.exception():
            case None:
                return None
            case Unavailable() as error:
                return str(error) or type(error).__name__
            case StorageError() as error:
                log.warning("probe_refused", dependency=dependency.value, error=str(error))
                return None
            case error:
                raise error
