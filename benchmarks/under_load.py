"""Servers under load: another server than ours, started and gone; a client, run; what it and the server took."""

import asyncio
import json
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil
import uvicorn
import zstandard

from app import leash
from app.checking import COMPRESSION
from app.embedded.places import free_port
from benchmarks.harness import Figures, Measure

START_S = 30
MEASURES = (
    Measure("rate", "req/s"),
    Measure("p50", "ms", higher_is_better=False),
    Measure("p99", "ms", higher_is_better=False),
    Measure("server CPU", "ms/req", higher_is_better=False),
)
CLIENT_CPU = Measure("client CPU", "ms/req", higher_is_better=False)  # the client's, to see that it is light


@dataclass(frozen=True)
class Server:
    """A server under load: its port, its processes, and the path that is asked for."""

    port: int
    pids: Sequence[int]
    path: str


def post(path: str, key: str, body: bytes) -> bytes:
    """A request, head and body."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def under_load(server: Server, client: str, load: Sequence[Any]) -> Figures:
    """Run a client, a module that takes a load (`benchmarks.accept_load`); the figures are those of MEASURES, and CLIENT_CPU."""
    before = _cpu_s(server.pids)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", client, json.dumps(load)), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("the client failed; standard error has why")
    used = _cpu_s(server.pids) - before
    took, latencies, client_used = json.loads(said)
    return {
        "rate": len(latencies) / took,
        "p50": statistics.median(latencies) * 1000,
        "p99": statistics.quantiles(latencies, n=100, method="inclusive")[-1] * 1000,
        "server CPU": used / len(latencies) * 1000,
        "client CPU": client_used / len(latencies) * 1000,
    }


@contextmanager
def stored(body: bytes) -> Iterator[str]:
    """A file with the payload that we would keep of a body, for the floor of `benchmarks.accept_servers`."""
    with tempfile.NamedTemporaryFile(prefix="tapedeck-bench-") as payload:
        payload.write(zstandard.ZstdCompressor(compression_params=COMPRESSION).compress(body))
        payload.flush()
        yield payload.name


@asynccontextmanager
async def running_server(module: str, which: str, *arguments: str, path: str) -> AsyncIterator[Server]:
    """A server that `python -m module WHICH PORT ARGUMENT…` runs (`serve`), once it answers."""
    port = free_port()
    leashed = leash.command([sys.executable, "-m", module, which, str(port), *arguments])
    process = await asyncio.create_subprocess_exec(
        *leashed.argv,
        pass_fds=leashed.fds,
        start_new_session=True,  # as our own: Linux shares cores out among sessions
    )
    try:
        await _answers(port, process)
        yield Server(port, [process.pid], path)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def serve(app: Any, port: int) -> None:
    """Serve an ASGI application on loopback as ours is served, until SIGTERM."""
    uvicorn.run(
        app,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )


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
