"""Rows per second into Postgres: the job `relate`, against one INSERT for each row, and against bare COPY.

The input is that of `benchmarks.process`. *Tapedeck* is the whole job, from the tape in storage to the commit: read, decompress,
parse, take apart, COPY, say so on the recording. The others have the same rows in memory, in the order in which they want them:
*INSERT* executes one prepared statement for each, *COPY* one COPY for each table; both in one transaction. *COPY of bytes* has
not even Python values: the rows are in Postgres' binary format already. The tables are empty before each repetition, with all
their indexes.

*Memory* is that of a process that does nothing but one job, at its peak, interpreter included (`tests.workers.alone`).
"""

import io
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from benchmarks import process_input
from benchmarks.deck import private_servers
from benchmarks.harness import Comparison, Contender, Figures, Measure, Options, Role, Target
from benchmarks.process_input import MB
from models import relating
from models.db import Database
from models.job import JobKind
from models.ledger import Claim
from models.rows import MODELS
from replay.cut import events_of
from replay.index import Index
from replay.relations import TABLES, decompose
from storage.open import open_storage
from storage.protocol import Storage
from tests.deck.processes import SECRET_KEY
from tests.factories import Deckhand, accepted, first_tenant, mask_nothing
from tests.models.steps import claimed
from tests.replay.recordings import META, START_MS, envelope, large_snapshot
from tests.servers import clone
from tests.workers.alone import peak_bytes
from workers.garbage import collect_rarely
from workers.process import process
from workers.relate import relate
from workers.tools import Tools

SIZE_MB, QUICK_MB = 10, 0.2
LARGE_MB = 20, 100
INSERTS = 20_000
"""As many rows are enough for one INSERT each: evenly spread over all that there are."""

Rows = dict[str, list[tuple[Any, ...]]]
"""By the names of their tables."""


async def benchmark(options: Options) -> AsyncIterator[Comparison]:
    """Rows per second into Postgres."""
    size = int((QUICK_MB if options.quick else SIZE_MB) * MB)
    with private_servers() as servers, tempfile.TemporaryDirectory(prefix="tapedeck-bench-") as folder:
        url = clone(servers, "rows")
        db = Database(url)
        storage_url = f"file://{folder}/objects"
        storage = open_storage(storage_url, secret_key=SECRET_KEY, base_url="http://127.0.0.1:8000")
        try:
            hand = await first_tenant(db, url)
            await mask_nothing(url)
            tools = Tools(db, storage, 60, 2**30, 2**30)
            loads = Loads(url, tools, hand)
            upload = process_input.write(Path(folder), (), size)
            await loads.prepare(upload.json.read_bytes())
            collect_rarely()  # as workers do: what stays in memory here is not walked through by any contender
            yield Comparison(
                f"{loads.count:,} rows of {upload.bytes / MB:.1f} MB",
                [Measure("rate", "rows/s")],
                [
                    Contender("Tapedeck", Role.OURS, loads.ours),
                    Contender("INSERT", Role.USUAL, loads.inserts),
                    Contender("COPY", Role.FLOOR, loads.copies),
                    Contender("COPY of bytes", Role.FLOOR, loads.copies_of_bytes),
                ],
                targets=[Target("rate", "INSERT", at_least=20), Target("rate", "COPY", at_least=0.5)],
                rounds=3,
            )
            environment = os.environ | {
                "DATABASE_URL": url,
                "REDIS_URL": servers.redis(1),
                "STORAGE_URL": storage_url,
                "TAPEDECK_SECRET_KEY": SECRET_KEY,
            }
            bodies = {f"{mb} MB": partial(_recording, Path(folder), mb * MB) for mb in LARGE_MB}
            bodies["a snapshot of 280,000 nodes"] = lambda: envelope([META % START_MS, large_snapshot()])
            for name, body in bodies.items() if not options.quick else ():
                memory = Memory(tools, hand, environment, body)
                yield Comparison(
                    f"memory, {name}",
                    [Measure("peak", "MB", higher_is_better=False)],
                    [Contender("Tapedeck", Role.OURS, memory.peak)],
                    targets=[Target("peak", at_most=600)],
                    rounds=1,
                    warm_up=False,
                )
        finally:
            await storage.close()
            await db.close()


def _recording(folder: Path, size: int) -> bytes:
    return process_input.write(folder, (), size).json.read_bytes()


async def _asked_for(tools: Tools, hand: Deckhand, body: bytes) -> UUID:
    """A recording that has a tape, and the job to relate it. Returns its id."""
    id_ = await accepted(tools.db, hand, body)
    await process(await claimed(tools.db, id_, JobKind.PROCESS), tools)
    await relating.ask(tools.db, hand.tenant_id, id_)
    return id_


class Memory:
    """One recording and one process."""

    def __init__(
        self, tools: Tools, hand: Deckhand, environment: Mapping[str, str], body: Callable[[], bytes]
    ) -> None:
        self._tools = tools
        self._hand = hand
        self._environment = environment
        self._body = body

    async def peak(self) -> Figures:
        """The job, in a process of its own."""
        id_ = await _asked_for(self._tools, self._hand, self._body())
        work = await claimed(self._tools.db, id_, JobKind.RELATE, lease_s=600)
        return {"peak": await peak_bytes(work, self._environment) / MB}


class Loads:
    """The contenders, on the same tables."""

    def __init__(self, url: str, tools: Tools, hand: Deckhand) -> None:
        self._url = url
        self._tools = tools
        self._hand = hand

    async def prepare(self, body: bytes) -> None:
        """Have a tape made, and its rows in memory."""
        self._id = await _asked_for(self._tools, self._hand, body)
        work = await claimed(self._tools.db, self._id, JobKind.RELATE)
        self._rows = await _rows(self._tools.db, self._tools.storage, work.claim, self._id)
        self.count = sum(map(len, self._rows.values()))
        await relate(work, self._tools)
        self._bytes = await self._as_bytes()

    async def ours(self) -> Figures:
        """The job, as a worker runs it."""
        await self._empty()
        await relating.ask(self._tools.db, self._hand.tenant_id, self._id)
        work = await claimed(self._tools.db, self._id, JobKind.RELATE)
        began = time.perf_counter()
        await relate(work, self._tools)
        return {"rate": self.count / (time.perf_counter() - began)}

    async def inserts(self) -> Figures:
        """One INSERT for each row."""
        step = max(1, self.count // INSERTS)
        some = {table: rows[::step] for table, rows in self._rows.items()}
        connection = await self._empty()
        try:
            began = time.perf_counter()
            async with connection.transaction():
                for table, rows in some.items():
                    places = ", ".join(f"${number}" for number in range(1, len(rows[0]) + 1))
                    sql = f"INSERT INTO {table} VALUES ({places})"
                    insert = await connection.prepare(sql)
                    for row in rows:
                        await insert.fetch(*row)
            return {"rate": sum(map(len, some.values())) / (time.perf_counter() - began)}
        finally:
            await connection.close()

    async def copies(self) -> Figures:
        """One COPY for each table."""
        connection = await self._empty()
        try:
            began = time.perf_counter()
            async with connection.transaction():
                for table, rows in self._rows.items():
                    await connection.copy_records_to_table(table, records=rows)
            return {"rate": self.count / (time.perf_counter() - began)}
        finally:
            await connection.close()

    async def copies_of_bytes(self) -> Figures:
        """The same, of rows that are encoded beforehand."""
        connection = await self._empty()
        try:
            began = time.perf_counter()
            async with connection.transaction():
                for table, rows in self._bytes.items():
                    await connection.copy_to_table(table, source=io.BytesIO(rows), format="binary")
            return {"rate": self.count / (time.perf_counter() - began)}
        finally:
            await connection.close()

    async def _as_bytes(self) -> dict[str, bytes]:
        """All rows in the binary format of COPY, from the tables."""
        connection = await asyncpg.connect(self._url)
        try:
            found = {}
            for table in self._rows:
                rows = io.BytesIO()
                await connection.copy_from_table(table, output=rows, format="binary")
                found[table] = rows.getvalue()
            return found
        finally:
            await connection.close()

    async def _empty(self) -> "asyncpg.Connection[asyncpg.Record]":
        connection = await asyncpg.connect(self._url)
        tables = ", ".join(table for table in MODELS if table != "replay")
        await connection.execute(f"TRUNCATE {tables}")
        await connection.execute("CHECKPOINT")
        return connection


async def _rows(db: Database, storage: Storage, claim: Claim, id_: UUID) -> Rows:
    """All rows of the recording's events, with `replay_id`, by table."""
    table_of = {table.row: table.name for table in TABLES}
    origin = await relating.origin(db, claim)
    tape = b"".join([chunk async for chunk in storage.read(origin.tape_name)])
    index: Index = origin.index
    found: Rows = defaultdict(list)
    events = (event for part in index.parts for event in events_of(part, tape[part.offset : part.end]))
    for number, event in enumerate(events):
        for row in decompose(number, event):
            found[table_of[type(row)]].append((id_, *row))
    return dict(found)
