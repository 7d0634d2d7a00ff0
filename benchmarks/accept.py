"""Accepting a recording: requests per second, latency, CPU time of the server, for bodies of 10 kB, 1 MB and 10 MB.

One server process each (`benchmarks.accept_servers` says what ours is compared with), all on one Postgres with the settings
that `tapedeck up` gives it, and four connections of one light client (`benchmarks.accept_load`) on the same cores. Nobody
processes what was accepted. Bodies are sent as they are: the usual stack takes no Content-Encoding.
"""

import asyncio
import json
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncpg
import psutil
import zstandard

from app import leash
from app.checking import COMPRESSION
from app.embedded.places import free_port
from app.recordings import PATH
from benchmarks import accept_servers
from benchmarks.accept_bodies import body
from benchmarks.accept_load import Load
from benchmarks.deck import private_servers, running_deck
from benchmarks.harness import Comparison, Contender, Figures, Measure, Options, Role, Target

SIZES = {"10 kB": 10_000, "1 MB": 1_000_000, "10 MB": 10_000_000}
TARGETS = {"1 MB": (Target("rate", "FastAPI", at_least=12), Target("rate", "one INSERT", at_least=0.6))}
ROUNDS = {"10 kB": 5, "1 MB": 7, "10 MB": 3}  # one of 10 MB takes the usual stack 20 s
CONNECTIONS = 4
SECONDS = 3
START_S = 30
MEASURES = (
    Measure("rate", "req/s"),
    Measure("p50", "ms", higher_is_better=False),
    Measure("p99", "ms", higher_is_better=False),
    Measure("server CPU", "ms/req", higher_is_better=False),
)
EMPTY = "TRUNCATE recording, payload, job, usual_recording, floor_payload CASCADE"


@dataclass(frozen=True)
class Server:
    """A server under load: its port, its processes, and where it takes recordings."""

    port: int
    pids: Sequence[int]
    path: str


async def benchmark(options: Options) -> AsyncIterator[Comparison]:
    """How fast recordings are accepted."""
    seconds = 0.2 if options.quick else SECONDS
    with private_servers() as servers, tempfile.TemporaryDirectory(prefix="tapedeck-bench-") as name:
        folder = Path(name)
        async with running_deck(servers, "web") as deck:
            ours = Server(int(deck.url.rpartition(":")[2]), deck.pids("web"), PATH)
            for title, size in SIZES.items():
                sent = body(size)
                async with _usual(deck.database_url) as usual, _floor(deck.database_url, sent) as floor:
                    contenders = []
                    for who, role, server in (
                        ("Tapedeck", Role.OURS, ours),
                        ("FastAPI", Role.USUAL, usual),
                        ("one INSERT", Role.FLOOR, floor),
                    ):
                        request = folder / role
                        request.write_bytes(_request(server.path, deck.keys.api_key, sent))
                        load = Load(server.port, str(request), CONNECTIONS, seconds)
                        repetition = partial(_repetition, server, load, deck.database_url)
                        contenders.append(Contender(who, role, repetition))
                    targets = TARGETS.get(title, ())
                    yield Comparison(f"accept {title}", MEASURES, contenders, targets, rounds=ROUNDS[title])


async def _repetition(server: Server, load: Load, database_url: str) -> Figures:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(EMPTY)
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()
    before = _cpu_s(server.pids)
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.accept_load", json.dumps(load)), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await client.communicate()
    if client.returncode:
        raise RuntimeError("the client failed; standard error has why")
    used = _cpu_s(server.pids) - before
    took, latencies = json.loads(said)
    return {
        "rate": len(latencies) / took,
        "p50": statistics.median(latencies) * 1000,
        "p99": statistics.quantiles(latencies, n=100, method="inclusive")[-1] * 1000,
        "server CPU": used / len(latencies) * 1000,
    }


def _request(path: str, key: str, sent: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
    )
    return head.encode() + sent


def _usual(database_url: str) -> AbstractAsyncContextManager[Server]:
    return _other("usual", database_url)


@asynccontextmanager
async def _floor(database_url: str, sent: bytes) -> AsyncIterator[Server]:
    with tempfile.NamedTemporaryFile(prefix="tapedeck-bench-") as payload:
        payload.write(zstandard.ZstdCompressor(compression_params=COMPRESSION).compress(sent))
        payload.flush()
        async with _other("floor", database_url, payload.name) as server:
            yield server


@asynccontextmanager
async def _other(which: str, database_url: str, *more: str) -> AsyncIterator[Server]:
    """One of `benchmarks.accept_servers`, ready."""
    port = free_port()
    leashed = leash.command(
        [sys.executable, "-m", "benchmarks.accept_servers", which, str(port), database_url, *more]
    )
    process = await asyncio.create_subprocess_exec(
        *leashed.argv,
        pass_fds=leashed.fds,
        start_new_session=True,  # as our own: Linux shares cores out among sessions
    )
    try:
        await _answers(port, process)
        yield Server(port, [process.pid], accept_servers.PATH)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _answers(port: int, process: asyncio.subprocess.Process) -> None:
    deadline = time.monotonic() + START_S
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        if process.returncode is not None or time.monotonic() > deadline:
            raise RuntimeError("a server did not start; standard error has why")
        await asyncio.sleep(0.05)


def _cpu_s(pids: Sequence[int]) -> float:
    """What these processes, and their children that ended, have used so far."""
    return sum(sum(psutil.Process(pid).cpu_times()[:4]) for pid in pids)
