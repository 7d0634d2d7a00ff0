"""Fixtures that every test may ask for. Servers are started when the first test asks, once for all xdist workers.

`database_url` and `redis_url` are empty when a test begins; asking for `database` or `storage` opens one on them.
"""

import os
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from models.db import Database
from storage.open import open_storage
from storage.protocol import Storage
from tests.deck import Deck
from tests.deck.processes import SECRET_KEY
from tests.gcs_emulator import Emulator, NoEmulator, running_emulator
from tests.servers import Addresses, Servers, clone, empty, flush

SERVERS = pytest.StashKey[Servers]()
DECKS = pytest.StashKey[list[Deck]]()


def _start(config: pytest.Config) -> Servers:
    if SERVERS not in config.stash:
        servers = config.stash[SERVERS] = Servers()
        config.add_cleanup(servers.stop)
        servers.start()
    return config.stash[SERVERS]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """xdist's controller, before each of its workers: tell it where the servers are."""
    node.workerinput["servers"] = msgspec.to_builtins(_start(node.config).addresses)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the processes of a failed test said."""
    report = yield
    if report.failed:
        for deck in item.stash.get(DECKS, []):
            report.sections += [(f"log of {name}", text) for name, text in deck.logs().items() if text]
    return report


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> Addresses:
    """The servers that this test run shares. Leave them running; start your own to kill."""
    told = getattr(request.config, "workerinput", {}).get("servers")
    return msgspec.convert(told, Addresses) if told else _start(request.config).addresses


@pytest.fixture(scope="session")
def _worker(request: pytest.FixtureRequest) -> str:
    return getattr(request.config, "workerinput", {}).get("workerid", "gw0")


@pytest.fixture(scope="session")
def _cloned_url(servers: Addresses, _worker: str) -> str:
    return clone(servers, f"test_{_worker}")


@pytest.fixture
async def database_url(_cloned_url: str) -> str:
    """A migrated database without any row."""
    await empty(_cloned_url)
    return _cloned_url


@pytest.fixture
async def redis_url(servers: Addresses, _worker: str) -> str:
    """A Redis database without any key."""
    url = servers.redis(int(_worker.removeprefix("gw")))
    await flush(url)
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A pool on `database_url`."""
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    """An empty local storage."""
    storage = open_storage(
        f"file://{tmp_path / 'objects'}", secret_key=SECRET_KEY, base_url="http://127.0.0.1:8000"
    )
    yield storage
    await storage.close()


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """A bucket for all tests of a process that leave it running; names keep them apart."""
    try:
        with running_emulator() as started:
            yield started
    except NoEmulator as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture
def make_deck(
    request: pytest.FixtureRequest, tmp_path: Path, database_url: str, redis_url: str
) -> Iterator[Callable[..., Deck]]:
    """Makes decks of real processes, not started yet; keywords are environment variables."""
    decks = request.node.stash[DECKS] = []

    def make(storage_url: str | None = None, **environment: str) -> Deck:
        deck = Deck(tmp_path / f"deck{len(decks)}", database_url, redis_url, storage_url, environment)
        decks.append(deck)
        return deck

    yield make
    for deck in decks:
        deck.stop()


@pytest.fixture
async def deck(make_deck: Callable[..., Deck]) -> Deck:
    """Web, worker and dispatcher, ready, on `database_url`, `redis_url` and a local storage."""
    deck = make_deck()
    await deck.start()
    return deck
