"""The dispatcher: rings for due jobs, takes back lost ones, sweeps. `python -m workers.dispatcher` runs it.

Postgres knows what is due; Redis only gets a bounded window of messages per queue, so that a backlog waits where
nothing is lost. A ring that nobody answered is repeated, so a flushed Redis heals by itself. Two dispatchers can run
at once: each takes other rows.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from uuid import UUID

import structlog
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

import logs
import settings
from models import ledger, lifecycle, sweep
from models.db import UnsafeServer, check_server, is_away
from models.doorbell import Listener
from models.job import JobKind
from models.migrate import head
from settings import Settings, SettingsError
from storage.protocol import StorageError
from workers.actors import message_for, redis_broker
from workers.failures import LOST
from workers.runner import policy_of
from workers.tools import Tools, open_tools

BATCH = 200
BUSY_PAUSE_S = 0.02
AWAY_PAUSE_S = 1.0
HISTORY_S = 30 * 86400
ALWAYS = 1_000_000

log = structlog.get_logger()


class Dispatcher:
    """One dispatcher process. `run` goes on until it is cancelled."""

    def __init__(self, settings: Settings, tools: Tools, listener: Listener) -> None:
        self._settings = settings
        self._tools = tools
        self._listener = listener
        # Each look at a queue's size also takes back what workers that died had fetched from it.
        self._broker = redis_broker(settings.redis_url, [], maintenance_chance=ALWAYS)
        self._policy = policy_of(settings)

    async def run(self) -> None:
        """Ring, rescue, sweep. What is away is waited for."""
        swept = 0.0
        while True:
            busy = False
            with self._waiting_for_what_is_away("ring"):
                for kind in JobKind:
                    busy |= await self._ring(kind)
            with self._waiting_for_what_is_away("rescue"):
                await self._rescue()
            if time.monotonic() - swept > self._settings.sweep_s:
                swept = time.monotonic()
                with self._waiting_for_what_is_away("sweep"):
                    await self._sweep()
            if busy:
                await asyncio.sleep(BUSY_PAUSE_S)
            else:
                await self._listener.wait(self._settings.poll_s)

    async def _ring(self, kind: JobKind) -> bool:
        """Fill this queue's window. True when jobs may be left that did not fit."""
        size: int = await asyncio.to_thread(self._broker.do_qsize, kind.value)
        room = self._settings.ring_window - size
        if room <= 0:
            return True
        async with self._tools.db.transaction() as session:
            due = await ledger.ring(session, kind, room=room, again_s=self._settings.ring_again_s)
        if due:
            await asyncio.to_thread(self._enqueue, kind, due)
        return len(due) == room

    def _enqueue(self, kind: JobKind, due: Sequence[UUID]) -> None:
        for job_id in due:
            self._broker.enqueue(message_for(kind, job_id))

    async def _rescue(self) -> None:
        """Take back the jobs of lost workers: each goes through the decision that every failure goes through."""
        db = self._tools.db
        async with db.transaction() as session:
            expired = await ledger.expired(session, limit=BATCH)
        for recording_id, claim_id in expired:
            verdict = await lifecycle.settle(
                db, recording_id, claim_id, LOST, self._policy, expired_only=True
            )
            if verdict is not None:
                log.warning(
                    "job_lost", recording_id=str(recording_id), claim_id=str(claim_id), verdict=str(verdict)
                )

    async def _sweep(self) -> None:
        db, storage = self._tools.db, self._tools.storage
        while names := await sweep.take_expired_objects(db, limit=BATCH):
            for name in names:
                await storage.delete(name)
            await sweep.forget_objects(db, names)
            log.info("objects_swept", count=len(names))
        while (
            await sweep.drop_failed_payloads(db, days=self._settings.failed_payload_days, limit=BATCH)
            == BATCH
        ):
            pass
        while await sweep.forget_idempotency_keys(db, limit=BATCH) == BATCH:
            pass
        await self._prune()

    async def _prune(self) -> None:
        while True:
            async with self._tools.db.transaction() as session:
                if await ledger.prune(session, older_s=HISTORY_S, limit=BATCH) < BATCH:
                    return

    @contextlib.contextmanager
    def _waiting_for_what_is_away(self, step: str) -> Iterator[None]:
        try:
            yield
        except (RedisError, SQLAlchemyError, OSError, TimeoutError, StorageError) as error:
            log.warning("step_failed", step=step, away=is_away(error), error=str(error).splitlines()[0])


async def _main(config: Settings) -> None:
    async with open_tools(config, pool_size=2, application="tapedeck dispatcher") as tools:
        await check_server(tools.db, head=head())
        listener = Listener(config.redis_url)
        running = asyncio.create_task(Dispatcher(config, tools, listener).run())
        for sent in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(sent, running.cancel)
        log.info("dispatcher_started", pid=os.getpid())
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await listener.close()


def main() -> None:
    """Run until SIGINT or SIGTERM."""
    try:
        config = settings.load()
        logs.configure(config.log_format)
        asyncio.run(_main(config))
    except (SettingsError, UnsafeServer, StorageError) as error:
        sys.exit(str(error))
    except Exception as error:
        if not is_away(error):
            raise
        sys.exit(f"Postgres is away: {error}")


if __name__ == "__main__":
    main()
