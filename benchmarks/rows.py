"""Rows per second into Postgres: the job `relate`, against one INSERT for each row, and against bare COPY.

The input is that of `benchmarks.process`. *Tapedeck* is the whole job, from the tape in storage to the commit: read, decompress,
parse, take apart, COPY, say so on the recording. The others have the same rows in memory, in the order in which they want them:
*INSERT* executes one prepared statement for each, *COPY* one COPY for each table; both in one transaction. The tables are empty
before each repetition, with all their indexes.
"""

import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator
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
from tests.servers import clone
from workers.process import process
from workers.relate import relate
from workers.tools import Tools

SIZE_MB, QUICK_MB = 10, 0.2
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
        storage = open_storage(
            f"file://{folder}/objects", secret_key=SECRET_KEY, base_url="http://127.0.0.1:8000"
        )
        try:
            hand = await first_tenant(db, url)
            await mask_nothing(url)
            upload = process_input.write(Path(folder), (), size)
            loads = Loads(url, Tools(db, storage, 60, 2**30, 2**30), hand)
            await loads.prepare(upload.json.read_bytes())
            yield Comparison(
                f"{loads.count:,} rows of {upload.bytes / MB:.1f} MB",
                [Measure("rate", "rows/s")],
                [
                    Contender("Tapedeck", Role.OURS, loads.ours),
                    Contender("INSERT", Role.USUAL, loads.inserts),
                    Contender("COPY", Role.FLOOR, loads.copies),
                ],
                targets=[Target("rate", "INSERT", at_least=20), Target("rate", "COPY", at_least=0.5)],
                rounds=3,
            )
        finally:
            await storage.close()
            await db.close()


class Loads:
    """The contenders, on the same tables."""

    def __init__(self, url: str, tools: Tools, hand: Deckhand) -> None:
        self._url = url
        self._tools = tools
        self._hand = hand

    async def prepare(self, body: bytes) -> None:
        """Have a tape made, and its rows in memory."""
        self._id = await accepted(self._tools.db, self._hand, body)
        await process(await claimed(self._tools.db, self._id, JobKind.PROCESS), self._tools)
        await relating.ask(self._tools.db, self._hand.tenant_id, self._id)
        work = await claimed(self._tools.db, self._id, JobKind.RELATE)
        self._rows = await _rows(self._tools.db, self._tools.storage, work.claim, self._id)
        self.count = sum(map(len, self._rows.values()))
        await relate(work, self._tools)

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
