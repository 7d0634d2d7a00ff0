"""The job `relate`: a tape and its sidecar become rows.

Fetch both, then take the tape apart, part by part, in a thread, and copy what comes out meanwhile. One transaction holds
it all, with no network but Postgres's in it; memory holds a part and what it becomes.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing, suppress
from itertools import chain
from tempfile import SpooledTemporaryFile

import msgspec

from models import relating
from models.lifecycle import Work
from models.relating import Origin, Overtaken
from replay.cut import CorruptPart, events_of
from replay.inflate import BadStream, inflated
from replay.plan import BadRecording
from replay.relations import TABLES, Row, decompose, log_rows
from replay.relations.columns import Table
from replay.sidecar import read_logs
from storage.protocol import Storage
from workers.spool import SPOOL_BYTES, Spool
from workers.tools import Tools

BATCH_ROWS = 10_000

Batch = tuple[Table, list[Row]]

_TABLE_OF = {table.row: table for table in TABLES}


async def relate(work: Work, tools: Tools) -> None:
    """Run the job. Raises BadRecording, ClaimLost, NoTurn, and what database and storage raise."""
    while True:  # once more for each tape that takes the place of the one before
        with suppress(Overtaken):
            async with tools.turn(tools.relating):
                return await _relate(work, tools)


async def _relate(work: Work, tools: Tools) -> None:
    origin = await relating.origin(tools.db, work.claim)
    if origin.outdated:
        await relating.drop_outdated(tools.db, work.claim)
    with (
        Spool(work) as spool,
        SpooledTemporaryFile(max_size=SPOOL_BYTES) as tape,
        SpooledTemporaryFile(max_size=SPOOL_BYTES) as sidecar,
    ):
        await _fetch(tools.storage, origin.tape_name, tape, origin.index.frame_bytes)
        await _fetch(tools.storage, origin.sidecar_name, sidecar)
        batches = _batches(origin, tape, sidecar, spool, tools.max_events_bytes)
        async with (
            relating.replacing(tools.db, work.claim, origin, limit_s=tools.job_timeout_s) as copy,
            aclosing(_made_ahead(spool, batches)) as made,
        ):
            async for table, rows in made:
                await copy.rows(table, rows)


async def _fetch(
    storage: Storage, name: str, file: "SpooledTemporaryFile[bytes]", end: int | None = None
) -> None:
    async for chunk in storage.read(name, 0, end):
        file.write(chunk)
    file.seek(0)


async def _made_ahead(spool: Spool, batches: Iterator[Batch]) -> AsyncGenerator[Batch, None]:
    """The batches, each made in a thread while the one before it is copied."""
    coming = asyncio.create_task(spool.in_thread(lambda: next(batches, None)))
    try:
        while (batch := await coming) is not None:
            coming = asyncio.create_task(spool.in_thread(lambda: next(batches, None)))
            yield batch
    finally:
        coming.cancel()
        await asyncio.wait([coming])


def _batches(
    origin: Origin,
    tape: "SpooledTemporaryFile[bytes]",
    sidecar: "SpooledTemporaryFile[bytes]",
    spool: Spool,
    max_bytes: int,
) -> Iterator[Batch]:
    """What happens in the thread. Raises BadRecording, Stopped."""
    try:
        event_no = 0
        for part in origin.index.parts:
            tape.seek(part.offset)
            events = events_of(part, b"".join(spool.until_stopped([tape.read(part.length)])))
            made = (decompose(no, event, live=origin.live) for no, event in enumerate(events, event_no))
            yield from _by_table(chain.from_iterable(made))
            event_no += len(events)
        logs = read_logs(inflated(spool.until_stopped(sidecar), max_bytes))
        yield from _by_table(log_rows(map(bytes, logs.console), map(bytes, logs.network)))
    except (CorruptPart, BadStream, msgspec.DecodeError) as error:
        raise BadRecording("payload_unreadable", f"What is stored is not readable: {error}.") from error


def _by_table(rows: Iterable[Row]) -> Iterator[Batch]:
    held = defaultdict[type[Row], list[Row]](list)
    for row in rows:
        of_table = held[type(row)]
        of_table.append(row)
        if len(of_table) == BATCH_ROWS:
            yield _TABLE_OF[type(row)], held.pop(type(row))
    for kind, of_table in held.items():
        yield _TABLE_OF[kind], of_table
