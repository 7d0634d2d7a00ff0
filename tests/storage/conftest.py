"""Both storages, each behind `open_storage`."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from storage.protocol import Storage
from tests.gcs_emulator import Emulator, running_emulator
from tests.storage.deck import client_of, open_for_test
from tests.storage.objects import DATA, new_name, put


@pytest.fixture
def own_emulator(emulator: Emulator) -> Iterator[Emulator]:
    """An emulator that a test may stop."""
    with running_emulator() as started:
        yield started


@pytest.fixture(params=["local", "gcs"])
async def storage(request: pytest.FixtureRequest) -> AsyncIterator[Storage]:
    """Each implementation in turn."""
    if request.param == "local":
        opened = open_for_test(request.getfixturevalue("root").as_uri())
    else:
        emulator: Emulator = request.getfixturevalue("emulator")
        opened = open_for_test(emulator.storage_url, emulator_host=emulator.host)
    yield opened
    await opened.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The local storage's directory."""
    return tmp_path / "objects"


@pytest.fixture
def local(root: Path) -> Storage:
    return open_for_test(root.as_uri())


@pytest.fixture
async def client(local: Storage) -> AsyncIterator[httpx.AsyncClient]:
    """Follows the URLs that `local` signs."""
    async with client_of(local) as client:
        yield client


@pytest.fixture
async def url(local: Storage) -> str:
    """Where `DATA` can be had."""
    name = new_name("video.webm")
    await put(local, name, DATA)
    return local.sign_get(name, ttl_s=60)
