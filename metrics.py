"""What every process tells Prometheus, and a server for processes that have no HTTP of their own.

Names follow Prometheus's conventions (https://prometheus.io/docs/practices/naming/): base units, `_total` for what only grows.
Labels have few values, which our code knows: no ids, no paths, nothing that a client can choose.
"""

import asyncio
import errno
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily, Metric

LOOK_S = 0.5
PORTS = 64  # tried, from the first on: a machine's processes of one deck find one each
LAGS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class NoPort(Exception):
    """Nothing can listen there; the message says why."""


def new_registry(process: str) -> CollectorRegistry:
    """A registry that knows this process: memory, CPU time, file descriptors, Python, version."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    Info("tapedeck_build", "Which process this is, and of which version.", registry=registry).info(
        {"process": process, "version": version("tapedeck")}
    )
    return registry


class Pools:
    """Collects the state of pools of connections to Postgres, by their names: each tells those lent out, idle, and at most."""

    def __init__(
        self, pools: Mapping[str, Callable[[], tuple[int, int, int]]], registry: CollectorRegistry
    ) -> None:
        self._pools = pools
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        held = GaugeMetricFamily(
            "tapedeck_database_connections",
            "Connections to Postgres of this process.",
            labels=["pool", "state"],
        )
        limit = GaugeMetricFamily(
            "tapedeck_database_connections_limit", "Connections that the pool may have.", labels=["pool"]
        )
        for name, tell in self._pools.items():
            in_use, idle, most = tell()
            held.add_metric([name, "in_use"], in_use)
            held.add_metric([name, "idle"], idle)
            limit.add_metric([name], most)
        return held, limit


@asynccontextmanager
async def watched_loop(registry: CollectorRegistry) -> AsyncIterator[None]:
    """While the block runs, measure how late this event loop wakes who sleeps."""
    lags = Histogram(
        "tapedeck_event_loop_lag_seconds",
        f"How late the event loop was, asked every {LOOK_S:g} s.",
        buckets=LAGS,
        registry=registry,
    )

    async def watch() -> None:
        while True:
            due = time.monotonic() + LOOK_S
            await asyncio.sleep(LOOK_S)
            lags.observe(max(0.0, time.monotonic() - due))

    watching = asyncio.create_task(watch(), name="loop lag")
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


def serve(registry: CollectorRegistry, host: str, first_port: int) -> tuple[int, Callable[[], None]]:
    """Serve `/metrics` from a thread, on the first free port from `first_port` on. Returns the port, and what ends it.

    Processes that are told the same port, as those that Dramatiq forks, find one each. Raises NoPort.
    """
    for port in range(first_port, min(first_port + PORTS, 65536)):
        try:
            server, thread = start_http_server(port, host, registry)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise NoPort(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
        else:
            return port, partial(_stop, server, thread)
    raise NoPort(f"no port of {host} from {first_port} on is free")


def _stop(server: WSGIServer, thread: Thread) -> None:
    server.shutdown()
    server.server_close()
    thread.join()
