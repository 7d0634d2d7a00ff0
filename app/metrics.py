"""`/metrics`: what this web process did, and what the database tells of the whole deck, for Prometheus.

What the database tells is gathered in the background (`app.gatherer`), however many ask: a scrape gets what is known, with the
time at which that was so.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from litestar import Request, Response, get
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from app.gatherer import Gatherer
from app.health import Answer
from models.figures import Figures
from models.job import JobKind, JobState
from models.recording import Source

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 75)
STATES = ("scheduled", JobState.DUE.value, JobState.RUNNING.value, JobState.DEAD.value)


class WebMetrics:
    """What a web process counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._requests = Histogram(
            "tapedeck_http_request_duration_seconds",
            "Requests, by the route that they matched, from their head to the last byte of the answer.",
            ["method", "route", "status"],
            buckets=SECONDS,
            registry=registry,
        )
        self._recordings = Counter(
            "tapedeck_recordings_accepted", "Recordings accepted.", ["source"], registry=registry
        )
        self._batches = Counter(
            "tapedeck_batches_accepted",
            "Batches accepted of recordings that are open.",
            ["source"],
            registry=registry,
        )
        self._bytes = Counter(
            "tapedeck_accepted_bytes",
            "Bytes of what was accepted, decompressed.",
            ["source"],
            registry=registry,
        )
        for source in Source:
            for counter in (self._recordings, self._batches, self._bytes):
                counter.labels(source.value)

    def request(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """A request was answered. `route` is a template, None when none matched; status 0: the client never got one."""
        self._requests.labels(
            method if method in METHODS else "other",
            "none" if route is None else route or "/",
            f"{status // 100}xx" if status else "none",
        ).observe(seconds)

    def accepted(self, source: Source, size: int) -> None:
        """A recording was accepted, of so many bytes."""
        self._recordings.labels(source.value).inc()
        self._bytes.labels(source.value).inc(size)

    def appended(self, source: Source, size: int) -> None:
        """A batch was added to a recording."""
        self._batches.labels(source.value).inc()
        self._bytes.labels(source.value).inc(size)


class DeckMetrics:
    """What the database and the dependencies tell, for whoever scrapes. `bounds` are more gauges: what they mean, and how to read them."""

    def __init__(
        self,
        registry: CollectorRegistry,
        gatherer: Gatherer[Figures],
        ask: Callable[[], Awaitable[Mapping[str, Answer]]],
        bounds: Mapping[str, tuple[str, Callable[[], float]]],
    ) -> None:
        self.registry = registry
        self._gatherer = gatherer
        self._ask = ask
        self._bounds = bounds
        self._figures: Figures | None = None
        self._answers: Mapping[str, Answer] = {}
        registry.register(self)

    async def refresh(self) -> None:
        """Ask the dependencies; take the figures that are known."""
        self._answers = await self._ask()
        self._figures = await self._gatherer.recent()

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily(
            "tapedeck_dependency_up", "Whether a dependency answers this process.", labels=["dependency"]
        )
        for name, answer in self._answers.items():
            up.add_metric([name], answer.state == "ok")
        yield up
        for name, (told, read) in self._bounds.items():
            yield GaugeMetricFamily(name, told, value=read())
        if self._figures is not None:
            yield from _of_deck(self._figures)


def _of_deck(figures: Figures) -> Iterable[Metric]:
    """Of the whole deck: every web process says the same, so never add them up."""
    jobs = GaugeMetricFamily(
        "tapedeck_jobs", "Jobs in the ledger, of the whole deck.", labels=["kind", "state"]
    )
    due = GaugeMetricFamily(
        "tapedeck_jobs_oldest_due_age_seconds",
        "How long the job that is due for longest has been; 0: none is.",
        labels=["kind"],
    )
    lag = GaugeMetricFamily(
        "tapedeck_ring_lag_seconds",
        "How long the dispatcher has not rung for a job that it should ring for; a backlog waits so too.",
        labels=["kind"],
    )
    unfinished = GaugeMetricFamily(
        "tapedeck_oldest_unfinished_age_seconds",
        "Age of the oldest job that a recording waits for, to be ready; 0: none does.",
        labels=["kind"],
    )
    counts = {(one.kind, one.state): one for one in figures.jobs}
    for kind in JobKind:
        of_kind = [one for one in figures.jobs if one.kind == kind]
        for state in STATES:
            found = counts.get((kind.value, state))
            jobs.add_metric([kind.value, state], found.count if found else 0)
        due.add_metric([kind.value], _age(figures.at, [one.due_since for one in of_kind]))
        lag.add_metric([kind.value], _age(figures.at, [one.unrung_since for one in of_kind]))
        unfinished.add_metric([kind.value], _age(figures.at, [one.awaited_since for one in of_kind]))
    sessions = GaugeMetricFamily(
        "tapedeck_database_sessions", "Sessions of Postgres, by process of the deck.", labels=["process"]
    )
    for name, count in figures.sessions.items():
        sessions.add_metric([name.removeprefix("tapedeck").strip("- ")], count)
    processes = GaugeMetricFamily(
        "tapedeck_processes", "Processes of the deck that have a heartbeat.", labels=["role"]
    )
    for name, count in figures.processes.items():
        processes.add_metric([name], count)
    breakers = GaugeMetricFamily(
        "tapedeck_breaker_open",
        "Whether jobs that need this dependency are held back, because it is away: 1 or 0.",
        labels=["dependency"],
    )
    for name, is_open in figures.breakers.items():
        breakers.add_metric([name], int(is_open))
    yield from (jobs, due, lag, unfinished, sessions, processes, breakers)
    yield GaugeMetricFamily(
        "tapedeck_conservation_broken_hours",
        "Hours in which accepted recordings do not add up.",
        value=figures.broken_hours,
    )
    yield GaugeMetricFamily(
        "tapedeck_conservation_missing_recordings",
        "By how many recordings they do not, in all of those hours.",
        value=figures.missing,
    )
    yield GaugeMetricFamily(
        "tapedeck_figures_timestamp_seconds",
        "When the database was asked for the figures of the whole deck.",
        value=figures.at.timestamp(),
    )


def _age(now: datetime, since: Iterable[datetime | None]) -> float:
    """Seconds since the first of these; 0: there is none."""
    return max(((now - one).total_seconds() for one in since if one is not None), default=0)


@get("/metrics", include_in_schema=False)
async def serve_metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
    """What Prometheus scrapes, in its text format."""
    deck: DeckMetrics = request.app.state.metrics
    await deck.refresh()
    return Response(
        generate_latest(deck.registry),
        media_type=CONTENT_TYPE_PLAIN_0_0_4,
        headers={"Cache-Control": "no-store"},
    )
