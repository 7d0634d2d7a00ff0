"""Servers of its own for each test that kills them."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.embedded import EmbeddedPostgres, EmbeddedValkey
from tests.gcs_emulator import Emulator, NoEmulator, running_emulator


@pytest.fixture
def folder() -> Iterator[Path]:
    """A temporary folder that an ordinary user may pass through, as root's servers do."""
    with tempfile.TemporaryDirectory(prefix="tapedeck-promise-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def own_postgres(folder: Path) -> Iterator[EmbeddedPostgres]:
    """A Postgres to kill."""
    server = EmbeddedPostgres(folder / "postgres")
    server.prepare()
    with server:
        yield server


@pytest.fixture
def own_valkey(folder: Path) -> Iterator[EmbeddedValkey]:
    """A Valkey to kill."""
    server = EmbeddedValkey(folder / "valkey")
    server.prepare()
    with server:
        yield server


@pytest.fixture
def bucket() -> Iterator[Emulator]:
    """A GCS emulator to stop."""
    try:
        with running_emulator() as emulator:
            yield emulator
    except NoEmulator as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
