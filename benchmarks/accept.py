"""Accepting a recording: requests per second, latency, CPU time of the server, for bodies of 10 kB, 1 MB and 10 MB.

One server process each (`benchmarks.accept_servers` says what ours is compared with), all on one Postgres with the settings
that `tapedeck up` gives it, and four connections of one light client (`benchmarks.accept_load`) on the same cores. Nobody
processes what was accepted. Bodies are sent as they are: the usual stack takes no Content-Encoding.
"""

import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

import asyncpg

from app.recordings import PATH
from benchmarks import accept_servers
from benchmarks.accept_bodies import body
from benchmarks.accept_load import Load
from benchmarks.deck import private_servers, running_deck
from benchmarks.harness import Comparison, Contender, Figures, Options, Role, Target
from benchmarks.under_load import MEASURES, Server, post, running_server, stored, under_load

SIZES = {"10 kB": 10_000, "1 MB": 1_000_000, "10 MB": 10_000_000}
TARGETS = {"1 MB": (Target("rate", "FastAPI", at_least=12), Target("rate", "one INSERT", at_least=0.6))}
ROUNDS = {"10 kB": 5, "1 MB": 7, "10 MB": 3}  # one of 10 MB takes the usual stack 20 s
CONNECTIONS = 4
SECONDS = 3
EMPTY = "TRUNCATE recording, payload, job, usual_recording, floor_payload CASCADE"


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
                        request.write_bytes(post(server.path, deck.keys.api_key, sent))
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
    return await under_load(server, "benchmarks.accept_load", load)


def _usual(database_url: str) -> AbstractAsyncContextManager[Server]:
    return running_server("benchmarks.accept_servers", "usual", database_url, path=accept_servers.PATH)


@asynccontextmanager
async def _floor(database_url: str, sent: bytes) -> AsyncIterator[Server]:
    with stored(sent) as payload:
        floor = running_server(
            "benchmarks.accept_servers", "floor", database_url, payload, path=accept_servers.PATH
        )
        async with floor as server:
            yield server
