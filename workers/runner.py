"""One job, from its message to its end: claim, keep the lease, run, and settle what went wrong.

Nothing escapes: an actor that raises would leave its message to Dramatiq, which loses retries when Redis is away.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry

from models import breakers, heartbeat, lifecycle, turns
from models.breakers import Dependency
from models.db import is_away
from models.job import JobKind
from models.ledger import ClaimLost
from models.lifecycle import Work
from models.recording import FailureCode
from models.retry import LOSSES_BEFORE_ISOLATION, Failure, FailureKind, Policy
from settings import Settings
from traces import Note
from workers.close import close
from workers.failures import ShuttingDown, TookTooLong, failure_of
from workers.isolation import run_isolated
from workers.leases import Lease, Leases
from workers.mask import mask
from workers.metrics import JobMetrics
from workers.process import process
from workers.purge import purge
from workers.relate import relate
from workers.tools import Tools
from workers.video.deadline import video_deadline
from workers.video.verify import verify_video

SETTLE_PAUSE_S = 0.5

JOBS: dict[JobKind, Callable[[Work, Tools], Awaitable[None]]] = {
    JobKind.PROCESS: process,
    JobKind.VIDEO_DEADLINE: video_deadline,
    JobKind.VERIFY_VIDEO: verify_video,
    JobKind.PURGE: purge,
    JobKind.MASK: mask,
    JobKind.RELATE: relate,
    JobKind.CLOSE: close,
}

log = structlog.get_logger()


class Runner:
    """Runs the jobs of one worker process. While it `is_quiet` it begins none."""

    def __init__(
        self, settings: Settings, tools: Tools, leases: Leases, metrics: JobMetrics | None = None
    ) -> None:
        self._metrics = metrics or JobMetrics(CollectorRegistry())
        self._settings = settings
        self._tools = tools
        self._leases = leases
        self._policy = policy_of(settings)
        self._name = heartbeat.name()
        self._running: set[asyncio.Task[None]] = set()
        self._draining = False
        self.is_quiet = False

    async def run(self, job_id: UUID) -> None:
        """Run a job if it is due and nobody else does. Never raises, unless its caller is cancelled: the job goes on then."""
        if self._draining:
            return
        if self.is_quiet:  # fetched before it was
            with contextlib.suppress(Exception):  # it is rung for again later, then
                await turns.hand_back(self._tools.db, job_id)
            return
        task = asyncio.create_task(self._run(job_id))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await asyncio.wait([task])
        if task.cancelled():
            log.warning("job_not_settled", job_id=str(job_id))
        elif error := task.exception():
            log.error("job_failed_unexpectedly", job_id=str(job_id), exc_info=error)

    async def drain(self, grace_s: float) -> None:
        """Begin no more jobs; those that still run after `grace_s` are handed back, at no cost to them."""
        self._draining = True
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=grace_s)
            for task in late:
                task.cancel()

    async def _run(self, job_id: UUID) -> None:
        claimed_at = time.monotonic()
        claiming = asyncio.create_task(
            lifecycle.claim(
                self._tools.db,
                job_id,
                worker=self._name,
                lease_s=self._settings.lease_s,
                put_deadline_s=self._settings.put_deadline_s,
                tenant_running_max=self._settings.tenant_running_max,
            )
        )
        stopped = False
        try:
            try:
                work = await asyncio.shield(claiming)
            except asyncio.CancelledError:  # a claim that may be made already has to be handed back
                stopped = True
                work = await claiming
        except Exception as error:
            if not is_away(error):
                raise
            log.warning("job_not_claimed", job_id=str(job_id), error=str(error))
            return  # still due, and rung for again; or claimed all the same, and lost when its lease ends
        if work is None:
            self._metrics.dropped()
            return
        kind = work.claim.kind
        self._metrics.began(kind, work.claim.waited_s)
        with structlog.contextvars.bound_contextvars(
            job_id=str(job_id), recording_id=str(work.claim.recording_id), kind=kind.value
        ):
            try:
                async with self._leases.keep(work.claim, claimed_at=claimed_at) as lease:
                    with self._span(work) as note:
                        if stopped:
                            await self._settle(work, failure_of(ShuttingDown()), lease, note)
                        else:
                            await self._attempt(work, lease, note)
            finally:
                self._metrics.ended(kind, time.monotonic() - claimed_at)

    def _span(self, work: Work) -> AbstractContextManager[Note]:
        """The attempt, in the trace of what owed the job."""
        claim = work.claim
        return self._tools.traces.span(
            claim.kind.value,
            "CONSUMER",
            parent=claim.trace,
            tapedeck__recording_id=str(claim.recording_id),
            tapedeck__job_id=str(claim.job_id),
            tapedeck__attempt=claim.attempts,
            tapedeck__losses=claim.losses,
        )

    async def _attempt(self, work: Work, lease: Lease, note: Note) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._settings.job_timeout_s):
                if work.claim.losses >= LOSSES_BEFORE_ISOLATION:
                    failure = await run_isolated(work)
                else:
                    await JOBS[work.claim.kind](work, self._tools)
                    failure = None
        except ClaimLost:
            self._claim_lost(work, note)
            return
        except asyncio.CancelledError:
            if lease.over or not self._draining:
                self._claim_lost(work, note)
                return
            failure = failure_of(ShuttingDown())
        except TimeoutError as error:
            late = time.monotonic() - began >= self._settings.job_timeout_s
            failure = failure_of(TookTooLong() if late else error)
        except Exception as error:
            failure = failure_of(error)
        if failure is None:
            took_ms = round((time.monotonic() - began) * 1000)
            self._metrics.done(work.claim.kind)
            log.info("job_done", attempt=work.claim.attempts, losses=work.claim.losses, ms=took_ms)
        else:
            await self._settle(work, failure, lease, note)

    async def _settle(self, work: Work, failure: Failure, lease: Lease, note: Note) -> None:
        """Write down how the attempt ended; while Postgres is away, try until the lease is over."""
        note.failed(failure.code.value)
        while time.monotonic() < lease.ends:
            try:
                verdict = await lifecycle.settle(
                    self._tools.db, work.claim.recording_id, work.claim.id, failure, self._policy
                )
            except Exception as error:
                if not is_away(error):
                    raise
                await asyncio.sleep(SETTLE_PAUSE_S)
                continue
            self._metrics.settled(work.claim.kind, failure, verdict)
            known = failure.kind in (FailureKind.AWAY, FailureKind.BAD_INPUT, FailureKind.STOPPED)
            log.warning(
                "job_attempt_failed",
                attempt=work.claim.attempts,
                losses=work.claim.losses,
                failure=failure.kind.value,
                code=failure.code.value,
                verdict=str(verdict),
                error=failure.detail.strip().rpartition("\n")[2] or failure.message,
                **({} if known else {"traceback": failure.detail}),
            )
            if failure.kind is FailureKind.AWAY and failure.code is FailureCode.STORAGE_UNAVAILABLE:
                with contextlib.suppress(Exception):  # others will find out, too
                    await breakers.suspect(self._tools.db, Dependency.STORAGE, failure.message)
            return
        log.warning("job_not_settled", failure=failure.kind.value)

    def _claim_lost(self, work: Work, note: Note) -> None:
        note.failed("claim_lost")
        self._metrics.claim_lost(work.claim.kind)
        log.warning("claim_lost")


def policy_of(settings: Settings) -> Policy:
    """Budgets and delays as configured."""
    return Policy(
        max_attempts=settings.max_attempts,
        max_losses=settings.max_losses,
        outage_deadline_s=settings.outage_deadline_s,
        backoff_s=settings.backoff_s,
        backoff_max_s=settings.backoff_max_s,
    )
