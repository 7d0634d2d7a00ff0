"""What a ring costs when a million jobs are due: as much as when a thousand are, whoever they belong to.

Both ring for a thousand, by the looks that a dispatcher takes, in windows of its usual size: what has come due is let in,
the kinds that have work are found, and turns go round the tenants. The statements' plans, as Postgres makes them for what
is there, must read nothing from end to end. The memory is that of a real dispatcher, whose messages somebody takes away.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from redis.asyncio import Redis
from sqlalchemy import TextClause, text

from benchmarks.deck import private_servers, process
from benchmarks.harness import Comparison, Contender, Figures, Measure, Options, Role, Target
from models import breakers, turns
from models.db import Database
from models.job import JobKind, Priority
from models.turns import NOBODY
from tests.deck import Deck
from tests.servers import Addresses, clone

WINDOW = 64
RUNG = 1000
DUE = 1_000_000
TIMES = 8  # as many are rung for while a dispatcher's memory is watched
LOOK_S = 0.02
PATIENCE_S = 120.0
AGAIN_S = 3600.0
MOST = 1.5
GROWTH_MB = 5

OWE = """
    INSERT INTO job (id, kind, tenant_id, recording_id, due_at, ring_at)
    SELECT uuidv7(), $1, lpad(to_hex(number % $3 + 1), 32, '0')::uuid, uuidv7(),
           now() - number * interval '1 ms' + $4, CASE WHEN $4 > interval '0' THEN now() + $4 END
    FROM generate_series(1, $2::bigint) AS number
"""


async def benchmark(options: Options) -> AsyncIterator[Comparison]:
    """Ringing for a thousand of a million."""
    due = DUE // (100 if options.quick else 1)
    with private_servers() as servers, tempfile.TemporaryDirectory(prefix="tapedeck-bench-") as name:
        for tenants in (1, 10_000):
            folder = Path(name) / str(tenants)
            folder.mkdir()
            few, many = [
                await Backlog.of(servers, folder, jobs=jobs, tenants=tenants) for jobs in (RUNG, due)
            ]
            yield Comparison(
                f"ring for {RUNG:,}, {tenants:,} tenant{'s'[: tenants - 1]}",
                [
                    Measure("time", "ms", higher_is_better=False),
                    Measure("growth", "MB", higher_is_better=False),
                ],
                [
                    Contender(f"{due:,} due", Role.OURS, many.ring_and_grow),
                    Contender(f"{RUNG:,} due", Role.FLOOR, few.ring),
                ],
                targets=[
                    Target("time", f"{RUNG:,} due", at_least=1 / MOST),
                    Target("growth", at_most=GROWTH_MB),
                ],
            )
            await few.close()
            await many.close()


class Backlog:
    """Jobs that are due, as many that are not yet, and who rings for them."""

    def __init__(self, deck: Deck, folder: Path) -> None:
        self._deck = deck
        self._folder = folder
        self._db = Database(deck.database_url, pool_size=1)
        self._growth: float | None = None

    @classmethod
    async def of(cls, servers: Addresses, folder: Path, *, jobs: int, tenants: int) -> "Backlog":
        """A fresh database with `jobs` that are due, of so many tenants, and as many that wait for their time."""
        url = clone(servers, f"dispatch_{jobs}_{tenants}")
        connection = await asyncpg.connect(url)
        for later in ("0", "1 day"):
            await connection.execute(
                OWE.replace("$4", f"interval '{later}'"), JobKind.PROCESS.value, jobs, tenants
            )
        await connection.execute("VACUUM ANALYZE job")
        await connection.close()
        deck = Deck(folder / str(jobs), url, servers.redis(1), None, {"TAPEDECK_RING_AGAIN_S": str(AGAIN_S)})
        backlog = cls(deck, folder)
        await backlog.check_plans(as_run=True)
        if jobs == DUE:
            await backlog.check_plans(as_run=False)
        return backlog

    async def ring(self) -> Figures:
        """Milliseconds for a thousand."""
        last, rung = NOBODY, 0
        began = time.perf_counter()
        while rung < RUNG:
            async with self._db.transaction() as session:
                await turns.ripen(session, limit=RUNG)
                (wanted,) = await turns.ready(session)
            room = min(WINDOW, RUNG - rung)
            async with self._db.transaction() as session:
                found = await turns.ring(session, wanted, after=last, room=room, again_s=AGAIN_S)
            rung += len(found.jobs)
            last = found.last or NOBODY
        ms = (time.perf_counter() - began) * 1000
        await self._as_before()
        return {"time": ms}

    async def ring_and_grow(self) -> Figures:
        """As `ring`; and by how many megabytes a dispatcher grows, which is measured once."""
        figures = await self.ring()
        if self._growth is None:
            self._growth = await self._dispatcher_growth()
            await self._as_before()
        return {**figures, "growth": self._growth}

    async def check_plans(self, *, as_run: bool) -> None:
        """Raises AssertionError if a statement of a look would read all jobs; without `as_run`, if it were the planner's choice."""
        asked = {
            "kind": JobKind.PROCESS.value,
            "kinds": [kind.value for kind in JobKind],
            "priority": int(Priority.AWAITED),
            "priorities": [int(each) for each in Priority],
            "dependencies": [each.value for each in breakers.Dependency],
            "pause_s": breakers.PROBE_S,
            "most_s": breakers.PROBE_MAX_S,
            "after": NOBODY,
            "room": WINDOW,
            "again_s": AGAIN_S,
            "limit": RUNG,
        }
        for limit in (0, 5):
            limits = {"running_max": limit * 10, "tenant_running_max": limit, "limited": limit > 0}
            for statement in (turns._RIPEN, turns._READY, turns._RING, breakers._TAKE_PROBE):
                for node in _nodes(await self._plan(statement, asked | limits, as_run=as_run)):
                    scanned = (node["Node Type"], node.get("Relation Name"))
                    assert scanned != ("Seq Scan", "job"), f"{statement.text} reads all jobs: {node}"

    async def _plan(
        self, statement: TextClause, values: Mapping[str, Any], *, as_run: bool
    ) -> dict[str, Any]:
        explained = text(f"EXPLAIN (FORMAT JSON) {statement.text}")
        named = {name: values[name] for name in statement._bindparams}
        async with self._db.transaction() as session:
            if not as_run:  # our own connections find every row by an index
                await session.execute(text("SET LOCAL enable_seqscan = on"))
            plan = (await session.execute(explained, named)).scalar_one()
        (found,) = msgspec.json.decode(plan) if isinstance(plan, str) else plan
        whole: dict[str, Any] = found["Plan"]
        return whole

    async def _dispatcher_growth(self) -> float:
        """By how many megabytes a dispatcher grows while it rings for many times as much, and all that it sends is taken."""
        argv = [sys.executable, "-m", "workers.dispatcher"]
        sizes = []
        async with Redis.from_url(self._deck.environment["REDIS_URL"]) as redis:
            with process(argv, self._deck.environment, self._folder / "log") as dispatcher:
                for rung in (RUNG, RUNG * TIMES):
                    async with asyncio.timeout(PATIENCE_S):
                        while await self._count_rung() < rung:
                            await redis.flushdb()
                            await asyncio.sleep(LOOK_S)
                    tree = [dispatcher, *dispatcher.children(recursive=True)]
                    sizes.append(max(one.memory_info().rss for one in tree))
        return (sizes[-1] - sizes[0]) / 1e6

    async def _count_rung(self) -> int:
        async with self._db.autocommit() as connection:
            rung = text(
                "SELECT count(*) FROM job WHERE state = 'due' AND ring_at IS NOT NULL AND ring_at > due_at"
            )
            return int((await connection.execute(rung)).scalar_one())

    async def _as_before(self) -> None:
        """All is due again, and nothing is left of what was."""
        connection = await asyncpg.connect(self._deck.database_url)
        await connection.execute("UPDATE job SET ring_at = NULL WHERE state = 'due' AND ring_at > due_at")
        await connection.execute("VACUUM job")
        await connection.close()

    async def close(self) -> None:
        await self._db.close()


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for below in plan.get("Plans", ()) for node in _nodes(below))]
