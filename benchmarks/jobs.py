"""Empty jobs per second: what a queue itself costs.

Each contender has a backlog before its worker starts: one worker process, eight jobs at a time. The rate is that between
the moment when a tenth of them are done and the end, so that nobody's start counts. *Tapedeck* is its dispatcher and its
worker, with every step that a real job takes: ring, message, claim, lease, commit, history. *Dramatiq* keeps its jobs
in Valkey, where an acknowledged message may be lost; ours rings with it, and cannot be faster.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import asyncpg

from benchmarks.deck import private_servers, process
from benchmarks.empty_jobs import CONCURRENCY, NAME, bare_broker, procrastinate_app
from benchmarks.harness import Comparison, Contender, Figures, Measure, Options, Role, Target
from models.bootstrap import ensure_first_tenant
from models.job import JobKind
from tests.deck import Deck
from tests.servers import Addresses, clone

JOBS = 1500
DRAMATIQ_JOBS = 6000
SHARE_OF_START = 0.1
LOOK_S = 0.05
PATIENCE_S = 120.0

DRAMATIQ = ("dramatiq", "--processes", "1", "--threads", str(CONCURRENCY), "--skip-logging")
DISPATCHER = ("python", "-m", "workers.dispatcher")
OWE = f"""
    WITH made AS (
        INSERT INTO recording (id, tenant_id, project_id, user_id, source, status, started_at, has_video, has_audio,
                               navigations, warnings, masked)
        SELECT gen_random_uuid(), tenant.id, project.id, user_account.id, 'upload', 'uploading', now(), false, false,
               '[]', '[]', '{{}}'
        FROM tenant, project, user_account, generate_series(1, $1)
        RETURNING id, tenant_id
    )
    INSERT INTO job (id, kind, tenant_id, recording_id)
    SELECT gen_random_uuid(), '{JobKind.PURGE}', tenant_id, id FROM made
"""


async def benchmark(options: Options) -> AsyncIterator[Comparison]:
    """Empty jobs per second, at a backlog."""
    shrink = 20 if options.quick else 1
    with private_servers() as servers, tempfile.TemporaryDirectory(prefix="tapedeck-bench-") as folder:
        queues = Queues(servers, Path(folder), JOBS // shrink, DRAMATIQ_JOBS // shrink)
        await queues.prepare()
        yield Comparison(
            "empty jobs",
            [Measure("rate", "jobs/s")],
            [
                Contender("Tapedeck", Role.OURS, queues.tapedeck),
                Contender("Procrastinate", Role.USUAL, queues.procrastinate),
                Contender("Dramatiq", Role.FLOOR, queues.dramatiq),
            ],
            targets=[Target("rate", "Procrastinate", at_least=1)],
            warm_up=False,
        )


class Queues:
    """The contenders, on the same servers."""

    def __init__(self, servers: Addresses, folder: Path, jobs: int, dramatiq_jobs: int) -> None:
        self._folder = folder
        self._jobs = jobs
        self._dramatiq_jobs = dramatiq_jobs
        self._deck = Deck(folder, clone(servers, "tapedeck_jobs"), servers.redis(1))
        self._procrastinate_url = clone(servers, "procrastinate_jobs")
        self._dramatiq_url = servers.redis(2)

    async def prepare(self) -> None:
        """Make the tables and a tenant."""
        await ensure_first_tenant(self._deck.database_url, self._deck.keys)
        async with procrastinate_app(self._procrastinate_url).open_async() as app:
            await app.schema_manager.apply_schema_async()

    async def tapedeck(self) -> Figures:
        """Our dispatcher and our worker, with an empty job."""
        db = await asyncpg.connect(self._deck.database_url)
        try:
            await db.execute("TRUNCATE job_history, recording CASCADE")
            await db.execute(OWE, self._jobs)
            return await self._rate(
                [DISPATCHER, (*DRAMATIQ, "benchmarks.empty_jobs:tapedeck")],
                {},
                self._jobs,
                lambda: db.fetchval("SELECT count(*) FROM job"),
            )
        finally:
            await db.close()

    async def procrastinate(self) -> Figures:
        """Its worker, with a task that passes."""
        db = await asyncpg.connect(self._procrastinate_url)
        try:
            await db.execute("TRUNCATE procrastinate_jobs CASCADE")
            async with procrastinate_app(self._procrastinate_url).open_async() as app:
                await app.tasks[NAME].batch_defer_async(*({} for _ in range(self._jobs)))
            return await self._rate(
                [("python", "-m", "benchmarks.empty_jobs")],
                {"DATABASE_URL": self._procrastinate_url},
                self._jobs,
                lambda: db.fetchval("SELECT count(*) FROM procrastinate_jobs WHERE status <> 'succeeded'"),
            )
        finally:
            await db.close()

    async def dramatiq(self) -> Figures:
        """Its worker, with an actor that passes."""
        broker, actor = bare_broker(self._dramatiq_url)
        try:
            for _ in range(self._dramatiq_jobs):
                actor.send()
            return await self._rate(
                [(*DRAMATIQ, "benchmarks.empty_jobs:bare")],
                {"REDIS_URL": self._dramatiq_url},
                self._dramatiq_jobs,
                lambda: asyncio.to_thread(broker.do_qsize, NAME),
            )
        finally:
            broker.close()

    async def _rate(
        self,
        commands: Sequence[Sequence[str]],
        environment: Mapping[str, str],
        jobs: int,
        count_left: Callable[[], Awaitable[int]],
    ) -> Figures:
        """Jobs per second, from when a tenth are done until none is left."""
        here = Path(sys.executable).parent
        async with asyncio.timeout(PATIENCE_S):
            with ExitStack() as running:
                for executable, *rest in commands:
                    running.enter_context(
                        process(
                            [str(here / executable), *rest],
                            {**self._deck.environment, **environment},
                            self._folder / "log",
                        )
                    )
                while (at_start := await count_left()) > jobs * (1 - SHARE_OF_START):
                    await asyncio.sleep(LOOK_S)
                began = time.perf_counter()
                while await count_left():
                    await asyncio.sleep(LOOK_S)
                return {"rate": at_start / (time.perf_counter() - began)}
