"""Pages for operators under the benchmark `ops`: somebody who has signed in, and what it costs to leave pages open."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import asyncpg
import httpx
import psutil

from app.pages.page import LIVE_S
from benchmarks.harness import Figures, Measure
from models import administration
from models.db import Database
from models.tenancy import Scope
from tests.api.pages.visitor import EMAIL, HASH, Visitor
from tests.deck import Deck

VIEWERS = 20
WATCHED_S = 10.0
SETTLED_S = 3.0
STREAM = {"Accept": "text/event-stream", "Accept-Encoding": "gzip", "HX-Request": "true"}
MEASURES = (
    Measure("web CPU", "ms/s", higher_is_better=False),
    Measure("Postgres CPU", "ms/s", higher_is_better=False),
)


@asynccontextmanager
async def signed_in(deck: Deck) -> AsyncIterator[httpx.AsyncClient]:
    """A browser, without JavaScript, of somebody who operates this deck."""
    db = Database(deck.database_url, pool_size=1)
    async with db.driver() as connection:
        project = await connection.fetchval("SELECT project_id FROM api_key LIMIT 1")
    await administration.create_user(
        db, email=EMAIL, project_id=project, scopes=(Scope.OPERATE,), password_hash=HASH
    )
    await db.close()
    async with httpx.AsyncClient(base_url=deck.url, timeout=60, trust_env=False) as client:
        answer = await Visitor(client).sign_in()
        assert answer.status_code == httpx.codes.SEE_OTHER, answer.text
        yield client


def pages_of(tenant: str, recording: str, job: str) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    """Which pages are asked for, by what they are called."""
    jobs, tenants = "/ops/jobs", "/ops/tenants"
    return {
        "page: overview": ("/ops", {}),
        "page: jobs": (jobs, {}),
        "page: jobs, due": (jobs, {"state": "due"}),
        "page: jobs, dead": (jobs, {"state": "dead"}),
        "page: jobs, error text": (jobs, {"error": "IS VALID"}),
        "page: job": (f"{jobs}/{job}", {}),
        "page: recording": (f"/ops/recordings/{recording}", {}),
        "page: tenants": (tenants, {}),
        "page: tenants, backlog": (tenants, {"sort": "backlog"}),
        "page: tenant": (f"{tenants}/{tenant}", {}),
        **{
            f"page: {each}": (f"/ops/{each}", {}) for each in ("failures", "actions", "audit", "conservation")
        },
    }


async def watch(deck: Deck, client: httpx.AsyncClient) -> Figures:
    """What VIEWERS who leave the overview open cost a second, live: milliseconds of CPU."""
    connection = await asyncpg.connect(deck.database_url)
    postgres = psutil.Process(await connection.fetchval("SELECT pg_backend_pid()")).parent()
    await connection.close()
    assert postgres is not None
    web = [psutil.Process(pid) for pid in deck.pids("web")]
    async with AsyncExitStack() as stack:
        viewers = [await stack.enter_async_context(_viewer(client)) for _ in range(VIEWERS)]
        await asyncio.sleep(SETTLED_S)
        before, began = (sum(map(_cpu_s, web)), _cpu_s(postgres)), time.perf_counter()
        await asyncio.sleep(WATCHED_S)
        assert min(seen.total() for seen in viewers) >= WATCHED_S / LIVE_S / 2, "a page is not live"
        after, took_s = (sum(map(_cpu_s, web)), _cpu_s(postgres)), time.perf_counter() - began
    spent = [1000 * (then - earlier) / took_s for earlier, then in zip(before, after, strict=True)]
    return dict(zip((measure.name for measure in MEASURES), spent, strict=True))


@asynccontextmanager
async def _viewer(client: httpx.AsyncClient) -> AsyncIterator[Counter[str]]:
    """Somebody who looks; and how many pieces of the page came."""
    async with client.stream("GET", "/ops", headers=STREAM) as answer:
        assert answer.status_code == httpx.codes.OK

        seen: Counter[str] = Counter()

        async def read() -> None:
            async for _ in answer.aiter_raw():
                seen["pieces"] += 1

        reading = asyncio.create_task(read())
        try:
            yield seen
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError, httpx.HTTPError):
                await reading


def _cpu_s(process: psutil.Process) -> float:
    """Seconds of a process, of its children that are there, and of those that were."""
    own = process.cpu_times()
    total = own.user + own.system + own.children_user + own.children_system
    for child in process.children():
        with suppress(psutil.NoSuchProcess):
            total += _cpu_s(child)
    return float(total)
