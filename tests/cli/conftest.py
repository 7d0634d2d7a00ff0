"""`Tapedeck`: the command, as a person runs it, in a process of its own."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from models.db import Database
from tests.api.tenants import new_tenant
from tests.deck import Deck
from tests.servers import REDIS_DATABASES, Addresses, clone

COMMAND = Path(sys.executable).with_name("tapedeck")


class Said(NamedTuple):
    """How a run of the command ended, and what it wrote."""

    status: int
    out: bytes
    err: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)

    @property
    def lines(self) -> list[Any]:
        """Of JSON lines."""
        return msgspec.json.Decoder().decode_lines(self.out)


class Tapedeck:
    """Runs the command in `folder`, with these variables and no others of ours."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TAPEDECK_HOME": str(folder / "home"),
            "PYTHONWARNINGS": "error",
            **environment,
        }

    async def __call__(self, *arguments: object, stdin: bytes = b"") -> Said:
        process = await asyncio.create_subprocess_exec(
            COMMAND,
            *map(str, arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.folder,
            env=self.environment,
        )
        out, err = await process.communicate(stdin)
        assert process.returncode is not None
        return Said(process.returncode, out, err.decode())


class Shelf(NamedTuple):
    """The command with a new tenant's key, and what the deck has of that tenant."""

    tapedeck: Tapedeck

    async def names(self) -> list[str]:
        """Of all its recordings, sorted."""
        listed = await self.tapedeck("list", "--all", "--json")
        return sorted(found["name"] for found in listed.json["recordings"])


@pytest.fixture
def tapedeck(tmp_path: Path) -> Tapedeck:
    """The command on a machine where no deck runs."""
    return Tapedeck(tmp_path)


@pytest.fixture(scope="session")
async def deck(
    tmp_path_factory: pytest.TempPathFactory, servers: Addresses, _worker: str
) -> AsyncIterator[Deck]:
    """One deck for all these tests: what they look at, they made themselves. Leave it running."""
    number = REDIS_DATABASES // 2 + int(_worker.removeprefix("gw"))
    deck = Deck(tmp_path_factory.mktemp("deck"), clone(servers, f"cli_{_worker}"), servers.redis(number))
    await deck.start()
    yield deck
    deck.stop()


@pytest.fixture
def against(tmp_path: Path) -> Callable[..., Tapedeck]:
    """The command with a deck's URL and API key."""

    def make(deck: Deck, key: str | None = None) -> Tapedeck:
        return Tapedeck(tmp_path, TAPEDECK_URL=deck.url, TAPEDECK_API_KEY=key or deck.keys.api_key)

    return make


@pytest.fixture
async def shelf(deck: Deck, against: Callable[..., Tapedeck]) -> Shelf:
    """The command with the key of a tenant that has nothing yet."""
    db = Database(deck.database_url)
    hand = await new_tenant(db)
    await db.close()
    return Shelf(against(deck, hand.keys.api_key))
