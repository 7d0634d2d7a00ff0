"""Reading the events of a 100 MB recording: requests per second, time of one answer, CPU time of the server.

The recording was sent to a deck and processed by it. *Tapedeck* is one web process that looks up the key, the recording and
its index in Postgres for every request, and reads the tape from the local storage. *nginx* is one worker process that sends a
file with the same bytes, made beforehand: it is the floor. Both send to one light client (`benchmarks.read_load`), on the same
cores, a connection each request.

A cut is one hundredth of the recording's time, in its middle; reading it whole is what a service without cuts would do.
"""

import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import asyncpg
import httpx
import psutil

from benchmarks import process_input
from benchmarks.deck import private_servers, running_deck
from benchmarks.harness import (
    Comparison,
    Contender,
    Figures,
    Measure,
    Options,
    Role,
    Target,
    Unavailable,
)
from benchmarks.nginx import Nginx, running_nginx
from benchmarks.read_load import Load
from replay.cut import cut
from replay.index import Index
from tests.deck import Deck

MB = 1_000_000
CONNECTIONS = 4
SECONDS = 2.0
READY_S = 120
ENCODINGS = ("zstd", "gzip", "identity")
MEASURES = (
    Measure("rate", "req/s"),
    Measure("p50", "ms", higher_is_better=False),
    Measure("server CPU", "ms/req", higher_is_better=False),
)
PARTS = Measure("parts read", "parts", higher_is_better=False)


class Asked(NamedTuple):
    """Something to read, from either server."""

    query: str
    encoding: str
    parts: int

    @property
    def file(self) -> str:
        return f"{'cut' if self.query else 'whole'}.{self.encoding}"


async def benchmark(options: Options) -> AsyncIterator[Comparison]:
    """How fast events are read."""
    size, seconds = (MB, 0.2) if options.quick else (100 * MB, SECONDS)
    async with AsyncExitStack() as stack:
        servers = stack.enter_context(private_servers())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tapedeck-bench-")))
        folder.chmod(0o711)
        deck = await stack.enter_async_context(running_deck(servers, TAPEDECK_MAX_BODY_BYTES=str(2 * size)))
        recording = await _send(deck, folder, size)
        for name in ("worker", "dispatcher"):
            deck.kill(name)
        whole, part = await _lengths(deck, recording)
        await _save(deck, recording, [*whole, *part], folder)
        try:
            nginx = await stack.enter_async_context(running_nginx(folder, folder, install=options.install))
        except Unavailable as error:
            nginx = error
        readers = Readers(deck, nginx, recording, seconds)
        title = f"{size // MB} MB"
        for asked in whole:
            targets = [Target("rate", "nginx", at_least=0.6)] if asked.encoding == "zstd" else []
            yield Comparison(f"events, {title} as {asked.encoding}", MEASURES, readers.two(asked), targets)
        for asked in part:
            instead = next(one for one in whole if one.encoding == asked.encoding)
            reading_it_whole = Contender("the whole", Role.USUAL, partial(readers.ours, instead))
            targets = [Target("parts read", at_most=2)]
            if asked.encoding == "identity":
                targets.append(Target("server CPU", "the whole", at_least=10))
            yield Comparison(
                f"events, 1 % of {title} as {asked.encoding}",
                [*MEASURES, PARTS],
                [*readers.two(asked), reading_it_whole],
                targets,
            )


class Readers:
    """The contenders: the same client against either server."""

    def __init__(self, deck: Deck, nginx: Nginx | Unavailable, recording: str, seconds: float) -> None:
        self._deck = deck
        self._nginx = nginx
        self._recording = recording
        self._seconds = seconds

    def two(self, asked: Asked) -> list[Contender]:
        return [
            Contender("Tapedeck", Role.OURS, partial(self.ours, asked)),
            Contender("nginx", Role.FLOOR, partial(self.theirs, asked)),
        ]

    async def ours(self, asked: Asked) -> Figures:
        headers = {"Authorization": f"Bearer {self._deck.keys.api_key}", "Accept-Encoding": asked.encoding}
        port = int(self._deck.url.rpartition(":")[2])
        load = Load(port, _path(self._recording, asked), headers, CONNECTIONS, self._seconds)
        return {**await _measure(load, self._deck.pids("web")), "parts read": asked.parts}

    async def theirs(self, asked: Asked) -> Figures:
        if isinstance(self._nginx, Unavailable):
            raise self._nginx
        return await _measure(
            Load(self._nginx.port, f"/{asked.file}", {}, CONNECTIONS, self._seconds), self._nginx.pids
        )


async def _measure(load: Load, pids: Sequence[int]) -> Figures:
    before = _cpu_s(pids)
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.read_load", json.dumps(load)), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await client.communicate()
    if client.returncode:
        raise RuntimeError("the client failed; standard error has why")
    used = _cpu_s(pids) - before
    took, latencies, _ = json.loads(said)
    return {
        "rate": len(latencies) / took,
        "p50": statistics.median(latencies) * 1000,
        "server CPU": used / len(latencies) * 1000,
    }


async def _send(deck: Deck, folder: Path, size: int) -> str:
    """Send a recording of that size and wait until it is ready. Returns its id."""
    made = process_input.write(folder, (), size)
    async with deck.client() as client:
        sent = await client.post(
            "/api/v1/recordings",
            content=made.payload.read_bytes(),
            headers={"Content-Type": "application/json", "Content-Encoding": "zstd"},
        )
        recording: str = sent.raise_for_status().json()["id"]
        async with asyncio.timeout(READY_S):
            status = "processing"
            while status not in ("ready", "failed"):
                answer = await client.get(f"/api/v1/recordings/{recording}", headers={"Prefer": "wait=30"})
                status = answer.raise_for_status().json()["status"]
    if status != "ready":
        raise RuntimeError(answer.text)
    for file in (made.json, made.payload):
        file.unlink()
    return recording


async def _lengths(deck: Deck, recording: str) -> tuple[list[Asked], list[Asked]]:
    """The whole and a hundredth of it in the middle, in each encoding."""
    connection = await asyncpg.connect(deck.database_url)
    index = Index.decode(
        await connection.fetchval("SELECT index FROM tape WHERE recording_id = $1", recording)
    )
    await connection.close()
    long_ms = index.last_time - index.first_time
    from_ms, to_ms = long_ms * 0.5, long_ms * 0.51
    wanted = cut(index, from_ms=from_ms, to_ms=to_ms)
    query = f"?from_ms={from_ms:.0f}&to_ms={to_ms:.0f}"
    return (
        [Asked("", encoding, len(index.parts)) for encoding in ENCODINGS],
        [Asked(query, encoding, len(wanted.spans) + len(wanted.whole)) for encoding in ("zstd", "identity")],
    )


async def _save(deck: Deck, recording: str, asked: Sequence[Asked], folder: Path) -> None:
    """Write what Tapedeck sends to files for nginx."""
    async with httpx.AsyncClient(base_url=deck.url, timeout=90, trust_env=False) as client:
        for one in asked:
            headers = {
                "Authorization": f"Bearer {deck.keys.api_key}",
                "Accept-Encoding": one.encoding,
            }
            async with client.stream("GET", _path(recording, one), headers=headers) as answer:
                answer.raise_for_status()
                with (folder / one.file).open("wb") as file:
                    async for chunk in answer.aiter_raw():
                        file.write(chunk)


def _path(recording: str, asked: Asked) -> str:
    return f"/api/v1/recordings/{recording}/events{asked.query}"


def _cpu_s(pids: Sequence[int]) -> float:
    return sum(sum(psutil.Process(pid).cpu_times()[:4]) for pid in pids)
