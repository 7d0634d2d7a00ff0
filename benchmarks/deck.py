"""Private servers and real processes for a benchmark, gone when its block ends."""

import os
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import psutil

from app import leash
from tests.deck import Deck
from tests.factories import mask_nothing
from tests.servers import Addresses, Servers, clone

RATE_LIMITS = (
    "TAPEDECK_RATE_LIMIT_REQUESTS",
    "TAPEDECK_RATE_LIMIT_BYTES",
    "TAPEDECK_PROJECT_RATE_LIMIT_REQUESTS",
    "TAPEDECK_PROJECT_RATE_LIMIT_BYTES",
)
NO_LIMIT = str(10**15 - 1)  # reached by nobody, and counted as ever


@contextmanager
def private_servers() -> Iterator[Addresses]:
    """A Postgres and a Valkey of our own, with the settings that `tapedeck up` gives them."""
    servers = Servers().start()
    try:
        yield servers.addresses
    finally:
        servers.stop()


@asynccontextmanager
async def running_deck(
    servers: Addresses, *names: str, database: str = "bench", **environment: str
) -> AsyncIterator[Deck]:
    """Real processes of the Procfile (default: all) on a fresh database of that name and a local storage.

    `.url` and `.keys.api_key` are for clients; `.pids("web")` for who measures.
    """
    with tempfile.TemporaryDirectory(prefix="tapedeck-bench-") as folder:
        limits = dict.fromkeys(RATE_LIMITS, NO_LIMIT)
        deck = Deck(Path(folder), clone(servers, database), servers.redis(1), None, {**limits, **environment})
        try:
            await deck.start(*names)
            await mask_nothing(deck.database_url)  # what it costs is a benchmark of its own
            yield deck
        finally:
            deck.stop()


@contextmanager
def process(argv: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[psutil.Process]:
    """A process of its own, dead at the end with all that it started. What it says goes to `log`."""
    leashed = leash.command(argv)
    with log.open("ab") as sink:
        started = subprocess.Popen(
            leashed.argv,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            env=environment,
            pass_fds=leashed.fds,
            start_new_session=True,
        )
    try:
        yield psutil.Process(started.pid)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()
