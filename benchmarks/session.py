"""A live session of 2,000 batches, 100,000 events: how long it takes to read while it is open, and to process once it is finished.

Each repetition has fresh processes, since memory is the most that they have had (Linux only). The floor is no more than
planning: what `process` and the reader compute of these payloads, masking nothing like the deck, in this process.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import count
from pathlib import Path

import asyncpg
import httpx

from benchmarks.deck import private_servers, running_deck
from benchmarks.harness import Comparison, Contender, Figures, Measure, Options, Role
from benchmarks.ingest import LONG, Sender, web_of
from benchmarks.ingest_batches import EVENTS
from models import payload
from models.db import Database
from replay.plan import Claims, plan
from tests.deck import Deck
from tests.servers import Addresses

WAIT_S = 60
KB = 1024
MB = 1_000_000
MAX_BYTES = 1 << 30
MEASURES = (
    Measure("read while open", "s", higher_is_better=False),
    Measure("finish to ready", "s", higher_is_better=False),
    Measure("web memory", "MB", higher_is_better=False),
    Measure("worker memory", "MB", higher_is_better=False),
)


async def benchmark(options: Options) -> AsyncIterator[Comparison]:
    """How soon a long session can be read."""
    batches = 20 if options.quick else LONG
    with private_servers() as servers, tempfile.TemporaryDirectory(prefix="tapedeck-bench-") as folder:
        sessions = Sessions(servers, Path(folder), batches, options)
        yield Comparison(
            f"a session of {batches:,} batches",
            MEASURES,
            [
                Contender("Tapedeck", Role.OURS, sessions.ours),
                Contender("planning alone", Role.FLOOR, sessions.planned),
            ],
            rounds=3,
            warm_up=False,
        )


class Sessions:
    """The contenders. What was planned last is planned again by the floor."""

    def __init__(self, servers: Addresses, folder: Path, batches: int, options: Options) -> None:
        self._servers = servers
        self._folder = folder
        self._batches = batches
        self._options = options
        self._decks = count()
        self._payloads: Mapping[int, Sequence[bytes]] = {}

    async def ours(self) -> Figures:
        """One session, sent, read, finished."""
        database = f"session_{next(self._decks)}"
        async with running_deck(self._servers, database=database) as deck:
            sender = Sender(deck, web_of(deck), self._folder, self._options, connections=1)
            await sender.send_once("one", 0, self._batches)
            async with deck.client() as client:
                path = f"/api/v1/recordings/{await self._load(deck)}"
                began = time.perf_counter()
                await _read(client, path, self._batches * EVENTS)
                read = time.perf_counter()
                await _finish(client, path)
                ready = time.perf_counter()
            return {
                "read while open": read - began,
                "finish to ready": ready - read,
                "web memory": _peak_mb(deck.pids("web")),
                "worker memory": _peak_mb(deck.pids("worker")),
            }

    async def planned(self) -> Figures:
        """The same payloads, planned as a reader needs them, and with a sidecar as `process` does."""
        began = time.perf_counter()
        await asyncio.to_thread(self._plan, sidecar=False)
        read = time.perf_counter()
        await asyncio.to_thread(self._plan, sidecar=True)
        return {"read while open": read - began, "finish to ready": time.perf_counter() - read}

    def _plan(self, *, sidecar: bool) -> None:
        planned = plan(self._payloads.values(), Claims(), max_bytes=MAX_BYTES)
        for _ in planned.tape():
            pass
        for _ in planned.sidecar() if sidecar else ():
            pass

    async def _load(self, deck: Deck) -> str:
        """The id of the one recording there is; its payloads are kept for the floor."""
        connection = await asyncpg.connect(deck.database_url)
        recording = await connection.fetchval("SELECT id FROM recording")
        await connection.close()
        db = Database(deck.database_url, pool_size=1)
        self._payloads = await payload.load(db, recording)
        await db.close()
        return str(recording)


async def _read(client: httpx.AsyncClient, path: str, events: int) -> None:
    answer = await client.get(f"{path}/events", headers={"Accept": "application/x-ndjson"})
    if (found := answer.raise_for_status().content.count(b"\n")) != events:
        raise RuntimeError(f"{found} events instead of {events}")


async def _finish(client: httpx.AsyncClient, path: str) -> None:
    (await client.post(f"{path}/finish")).raise_for_status()
    status = "uploading"
    while status not in ("ready", "failed"):
        answer = await client.get(path, headers={"Prefer": f"wait={WAIT_S}"})
        status = answer.raise_for_status().json()["status"]
    if status == "failed":
        raise RuntimeError(answer.text)


def _peak_mb(pids: Sequence[int]) -> float:
    """The most memory that any of these processes has had."""
    return max(
        int(line.split()[1]) * KB / MB
        for pid in pids
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
