"""`/ops`: whether accepted recordings get through, and if not, what is wrong and what to do."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from litestar import Response, get

from app.documents import timestamp
from app.ops import NOTHING, affordable
from app.ops_answers import conservation_of, overview_of, process_of
from app.ops_rates import rates_of
from app.pages.chart import bars_of
from app.pages.page import Page, PageRequest, show
from app.services import Services, services_of
from app.sight import sight_of
from app.verdict import verdict
from models.conservation import COUNTS, Sums
from models.overview import RunningJob, running_jobs
from models.processes import HEARTBEAT_S

HOURS = 24
RUNNING_MAX = 200
LISTED_MAX = 60  # processes on this page
SILENT_MS = 5 * HEARTBEAT_S * 1000  # not gone yet, but it misses one heartbeat after another


@get("/", include_in_schema=False)
async def overview(request: PageRequest) -> Response[Any]:
    """The deck at a glance."""
    return await show(request, lambda: _look(services_of(request)))


async def _look(services: Services) -> Page:
    async with affordable(NOTHING):
        sight, conserved, running = await asyncio.gather(
            sight_of(services),
            services.last_day.present(),
            running_jobs(services.db, limit=RUNNING_MAX),
        )
    told = verdict(sight)
    values: dict[str, Any] = {"verdict": told, "severity": _severity(told.troubles)}
    if sight.seen is not None:
        now = sight.seen.now
        values |= {
            "now": timestamp(now),
            "seen_at": now,
            "seen": overview_of(sight.seen, sight.counted, sight) if sight.counted else None,
            "rates": {queue.kind: queue for queue in rates_of(sight.rates).queues} if sight.rates else {},
            "processes": [
                process_of(one, now, sight.seen.running_by.get(one.name, 0))
                for one in sight.seen.processes[:LISTED_MAX]
            ],
            "silent_ms": SILENT_MS,
            "more_processes": max(0, len(sight.seen.processes) - LISTED_MAX),
            "running": _by_worker(running),
            "day": _sum(conserved.hours) if conserved else None,
            "day_at": timestamp(conserved.at) if conserved else None,
            "chart": bars_of(conservation_of(conserved).hours, conserved.at, HOURS) if conserved else None,
        }
    return Page("overview.html", "Overview", values)


def _severity(troubles: Sequence[Any]) -> str:
    return "well" if not troubles else troubles[0].severity.name.lower()


def _by_worker(jobs: Sequence[RunningJob]) -> dict[str, list[RunningJob]]:
    found = defaultdict(list)
    for job in jobs:
        found[job.worker].append(job)
    return dict(found)


def _sum(hours: Sequence[Sums]) -> dict[str, int]:
    return {name: sum(getattr(one, name) for one in hours) for name in (*COUNTS, "missing")}


HANDLERS = (overview,)
