"""Both storages, each behind `open_storage`."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from storage.protocol import Storage
from tests.gcs_emulator import Emulator, NoEmulator, running_emulator
from tests.storage.deck import open_for_test


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """One emulator for all tests of a process that leave it running; names keep them apart."""
    try:
        with running_emulator() as started:
            yield started
    except NoEmulator as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture
def own_emulator(emulator: Emulator) -> Iterator[Emulator]:
    """An emulator that a test may stop."""
    with running_emulator() as started:
        yield started


@pytest.fixture
def local_url(tmp_path: Path) -> str:
    return (tmp_path / "objects").as_uri()


@pytest.fixture(params=["local", "gcs"])
async def storage(request: pytest.FixtureRequest) -> AsyncIterator[Storage]:
    """Each implementation in turn."""
    if request.param == "local":
        opened = open_for_test(request.getfixturevalue("local_url"))
    else:
        emulator: Emulator = request.getfixturevalue("emulator")
        opened = open_for_test(emulator.storage_url, emulator_host=emulator.host)
    yield opened
    await opened.close()
