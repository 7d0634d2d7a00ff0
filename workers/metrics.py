"""What worker processes and the dispatcher count, for Prometheus. `metrics.serve` makes it reachable."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

import metrics
from models.db import Database
from models.job import JobKind
from models.recording import FailureCode
from models.retry import Again, Dead, Failure
from settings import Settings

WAITS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
RUNS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)

log = structlog.get_logger()


class JobMetrics:
    """What becomes of the jobs that this process claims."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._waits = Histogram(
            "tapedeck_job_wait_seconds",
            "From the time that a job was due to its claim.",
            ["kind"],
            buckets=WAITS,
            registry=registry,
        )
        self._runs = Histogram(
            "tapedeck_job_run_seconds",
            "From a claim to the end of the attempt, whatever it was.",
            ["kind"],
            buckets=RUNS,
            registry=registry,
        )
        self._attempts = Counter(
            "tapedeck_job_attempts",
            "Attempts that ended: done, again (to be tried again), dead, or claim_lost (somebody else has the job now).",
            ["kind", "outcome"],
            registry=registry,
        )
        self._dead = Counter(
            "tapedeck_jobs_dead",
            "Jobs that gave up here, by what the recording says of it.",
            ["kind", "code"],
            registry=registry,
        )
        self._dropped = Counter(
            "tapedeck_messages_dropped",
            "Messages for a job that was not due: duplicates, mostly.",
            registry=registry,
        )
        self._running = Gauge("tapedeck_jobs_running", "Jobs that run in this process.", registry=registry)
        for kind in JobKind:
            for outcome in ("done", "again", "dead", "claim_lost"):
                self._attempts.labels(kind.value, outcome)
            for code in FailureCode:  # from 0 on, so that the first one is an increase
                self._dead.labels(kind.value, code.value)

    def dropped(self) -> None:
        """A message came for a job that nobody need do now."""
        self._dropped.inc()

    def began(self, kind: JobKind, waited_s: float) -> None:
        """A job was claimed."""
        self._waits.labels(kind.value).observe(max(0.0, waited_s))
        self._running.inc()

    def ended(self, kind: JobKind, seconds: float) -> None:
        """What was claimed is over."""
        self._runs.labels(kind.value).observe(seconds)
        self._running.dec()

    def done(self, kind: JobKind) -> None:
        """An attempt did all there was to do."""
        self._attempts.labels(kind.value, "done").inc()

    def settled(self, kind: JobKind, failure: Failure, verdict: Again | Dead | None) -> None:
        """An attempt ended badly; without a verdict its claim did not hold any more."""
        if verdict is None:
            self.claim_lost(kind)
        elif isinstance(verdict, Dead):
            self._attempts.labels(kind.value, "dead").inc()
            self._dead.labels(kind.value, failure.code.value).inc()
        else:
            self._attempts.labels(kind.value, "again").inc()

    def claim_lost(self, kind: JobKind) -> None:
        """What an attempt wanted to commit was refused: its claim does not hold any more."""
        self._attempts.labels(kind.value, "claim_lost").inc()


class DispatcherMetrics:
    """What a dispatcher does."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._rung = Counter(
            "tapedeck_jobs_rung",
            "Rings: messages sent, those that were sent again included.",
            ["kind"],
            registry=registry,
        )
        self._lost = Counter(
            "tapedeck_jobs_lost", "Jobs taken back from lost workers.", ["verdict"], registry=registry
        )
        self._failed = Counter(
            "tapedeck_dispatcher_step_failures",
            "Steps that failed, and are tried again.",
            ["step"],
            registry=registry,
        )
        self._looked = Gauge(
            "tapedeck_dispatcher_look_timestamp_seconds",
            "When it looked for due jobs the last time.",
            registry=registry,
        )
        self._checked = Gauge(
            "tapedeck_conservation_check_timestamp_seconds",
            "When it counted the recordings of the latest hours the last time.",
            registry=registry,
        )
        for kind in JobKind:
            self._rung.labels(kind.value)
        for verdict in ("again", "dead"):
            self._lost.labels(verdict)

    def rung(self, kind: JobKind, count: int) -> None:
        """Messages were sent."""
        self._rung.labels(kind.value).inc(count)

    def lost(self, verdict: Again | Dead) -> None:
        """A job was taken back."""
        self._lost.labels("dead" if isinstance(verdict, Dead) else "again").inc()

    def failed(self, step: str, times: int = 1) -> None:
        """A step raised; or it is there, and did not yet."""
        self._failed.labels(step).inc(times)

    def looked(self) -> None:
        """It knows what is due."""
        self._looked.set(time.time())

    def checked(self) -> None:
        """It knows whether the latest hours add up."""
        self._checked.set(time.time())


@asynccontextmanager
async def served(
    registry: CollectorRegistry, settings: Settings, pools: dict[str, Database]
) -> AsyncIterator[None]:
    """While the block runs, `registry` can be scraped, if a port is set, and knows this event loop and these pools."""
    metrics.Pools({name: db.connections for name, db in pools.items()}, registry)
    async with metrics.watched_loop(registry):
        if not settings.metrics_port:
            yield
            return
        try:
            port, stop = metrics.serve(registry, settings.host, settings.metrics_port)
        except metrics.NoPort as error:  # jobs matter more
            log.error("metrics_not_served", error=str(error))
            yield
            return
        log.info("metrics_served", host=settings.host, port=port)
        try:
            yield
        finally:
            await asyncio.to_thread(stop)
