"""The dispatcher: rings for due jobs, takes back lost ones, sweeps. `python -m workers.dispatcher` runs it.

Postgres knows what is due; Redis only gets a bounded window of messages per queue (`workers.ringer`). Two dispatchers can
run at once: each takes other rows.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator

import structlog
from prometheus_client import CollectorRegistry
from redis.exceptions import RedisError

import logs
import settings
from metrics import new_registry
from models import attempt_tally, deletion, ledger, lifecycle, processes, sweep
from models.db import UnsafeServer, is_away
from models.doorbell import Listener
from models.heartbeat import Heartbeat
from models.processes import Role
from settings import Settings, SettingsError
from storage.protocol import StorageError
from workers import actions, erasures
from workers.conservation import Conservation
from workers.expired import delete_expired
from workers.failures import LOST
from workers.metrics import DispatcherMetrics, served
from workers.probes import Prober
from workers.ringer import Ringer
from workers.runner import policy_of
from workers.tools import Tools, check_start, open_tools

BATCH = 200
PAYLOAD_BATCH = 10
POOL_SIZE = 4
WINDOWS_S = 2.0
BUSY_PAUSE_S = 0.04  # shorter, and each look would refill a window by a few messages only
HISTORY_S = 30 * 86400
CANCEL_AGAIN_S = 1.0

log = structlog.get_logger()


class Dispatcher:
    """One dispatcher process. `run` goes on until it is cancelled."""

    def __init__(
        self,
        settings: Settings,
        tools: Tools,
        listener: Listener,
        metrics: DispatcherMetrics | None = None,
    ) -> None:
        self._metrics = metrics or DispatcherMetrics(CollectorRegistry())
        self._settings = settings
        self._tools = tools
        self._listener = listener
        self._ringer = Ringer(settings, tools.db, self._metrics.rung)
        self._prober = Prober(tools.db, tools.storage, longest_s=settings.outage_deadline_s)
        self._policy = policy_of(settings)

    async def run(self) -> None:
        """Ring, rescue, sweep. Side by side: a storage or a Redis that hangs holds up nothing else."""
        sweeps = (
            self._delete_objects,
            self._tools.storage.sweep,
            self._delete_expired_recordings,
            self._drop_failed_payloads,
            self._forget_idempotency_keys,
            self._forget_sign_ins,
            self._prune,
            self._forget_processes,
            self._gather_rates,
        )
        steps = [
            self._ring_when_due(),
            self._repeat(self._rescue, self._settings.poll_s),
            self._repeat(self._ringer.tell_windows, WINDOWS_S),
            self._repeat(self._prober.probe, self._settings.poll_s),
            self._repeat(self._erase, self._settings.poll_s),
            self._repeat(self._act, self._settings.poll_s),
            self._repeat(
                Conservation(self._tools.db, self._metrics.checked).check, self._settings.conservation_s
            ),
            *(self._repeat(step, self._settings.sweep_s) for step in sweeps),
        ]
        tasks = {asyncio.create_task(step) for step in steps}
        try:
            await asyncio.gather(*tasks)
        finally:
            while tasks:  # a driver that is just ending a connection may swallow a cancellation
                for task in tasks:
                    task.cancel()
                _, tasks = await asyncio.wait(tasks, timeout=CANCEL_AGAIN_S)
            await self._ringer.close()

    async def _ring_when_due(self) -> None:
        while True:
            busy = False
            with self._going_on("ring"):
                for wanted in await self._ringer.look():
                    with self._going_on("ring"):
                        busy |= await self._ringer.ring(wanted)
                self._metrics.looked()
            if busy:
                await asyncio.sleep(BUSY_PAUSE_S)
            else:
                await self._listener.wait(self._settings.poll_s)

    async def _repeat(self, step: Callable[[], Awaitable[None]], pause_s: float) -> None:
        name = step.__name__.lstrip("_")
        self._metrics.failed(name, times=0)
        while True:
            with self._going_on(name):
                await step()
            await asyncio.sleep(pause_s)

    async def _rescue(self) -> None:
        """Take back the jobs of lost workers: each goes through the decision that every failure goes through."""
        db = self._tools.db
        async with db.transaction() as session:
            expired = await ledger.expired(session, limit=BATCH)
        for recording_id, claim_id in expired:
            ids = {"recording_id": str(recording_id), "claim_id": str(claim_id)}
            try:
                verdict = await lifecycle.settle(
                    db, recording_id, claim_id, LOST, self._policy, expired_only=True
                )
            except Exception as error:
                if is_away(error):
                    raise
                log.exception("job_not_taken_back", **ids)  # the others still are
            else:
                if verdict is not None:
                    self._metrics.lost(verdict)
                    log.warning("job_lost", verdict=str(verdict), **ids)

    async def _erase(self) -> None:
        while await erasures.advance(self._tools.db, self._tools.storage):
            pass

    async def _act(self) -> None:
        await actions.advance(self._tools.db, video_wait_s=self._settings.video_wait_s)

    async def _delete_objects(self) -> None:
        await delete_expired(self._tools.db, self._tools.storage)

    async def _delete_expired_recordings(self) -> None:
        while expired := await sweep.expired_recordings(self._tools.db, limit=BATCH):
            for tenant_id, recording_id in expired:
                with contextlib.suppress(deletion.OnHold):  # since a moment ago
                    await deletion.delete_recording(self._tools.db, tenant_id, recording_id)
            log.info("expired_recordings_deleted", count=len(expired))

    async def _drop_failed_payloads(self) -> None:
        days = self._settings.failed_payload_days
        while (
            await sweep.drop_failed_payloads(self._tools.db, days=days, limit=PAYLOAD_BATCH) == PAYLOAD_BATCH
        ):
            pass

    async def _forget_idempotency_keys(self) -> None:
        while await sweep.forget_idempotency_keys(self._tools.db, limit=BATCH) == BATCH:
            pass

    async def _forget_sign_ins(self) -> None:
        while await sweep.forget_sign_ins(self._tools.db, limit=BATCH) >= BATCH:
            pass

    async def _forget_processes(self) -> None:
        for role, name in await processes.forget_gone(self._tools.db):
            log.warning(f"{role.value}_gone", process=name)

    async def _prune(self) -> None:
        while True:
            async with self._tools.db.transaction() as session:
                if await ledger.prune(session, older_s=HISTORY_S, limit=BATCH) < BATCH:
                    break
        while await sweep.forget_audit(self._tools.db, days=self._settings.audit_days, limit=BATCH) == BATCH:
            pass

    async def _gather_rates(self) -> None:
        while await attempt_tally.gather(self._tools.db, limit=BATCH) == BATCH:
            pass
        await attempt_tally.prune(self._tools.db)

    @contextlib.contextmanager
    def _going_on(self, step: str) -> Iterator[None]:
        """Whatever a step raises, it is tried again: what is away comes back, and a row that is broken is one row."""
        try:
            yield
        except Exception as error:
            away = is_away(error) or isinstance(error, RedisError | StorageError)
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            self._metrics.failed(step)
            log.warning("step_failed", step=step, error=reason, exc_info=not away)


async def _main(config: Settings) -> None:
    async with open_tools(config, pool_size=POOL_SIZE, application="tapedeck dispatcher") as tools:
        await check_start(tools.db)
        listener = Listener(config.redis_url)
        registry = new_registry("dispatcher")
        dispatcher = Dispatcher(config, tools, listener, DispatcherMetrics(registry))
        running = asyncio.create_task(dispatcher.run())
        for sent in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(sent, running.cancel)
        log.info("dispatcher_started", pid=os.getpid())
        async with (
            served(registry, config, {"dispatcher": tools.db}),
            Heartbeat(tools.db, Role.DISPATCHER),
        ):
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
