"""Runs of `tapedeck up`, ended with their test."""

import contextlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.embedded.places import ELSEWHERE, free_port
from tests.deck.run import Up


@pytest.fixture
def folder() -> Iterator[Path]:
    """A temporary folder that an ordinary user may pass through, as root's servers do."""
    folder = Path(tempfile.mkdtemp(prefix="tapedeck-up-"))
    folder.chmod(0o711)
    yield folder
    for remembered in folder.rglob("server.json"):
        place = Path(json.loads(remembered.read_text())["place"])
        if place.parent == ELSEWHERE:
            shutil.rmtree(place, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def up(request: pytest.FixtureRequest, folder: Path) -> Iterator[Callable[..., Up]]:
    """Starts `tapedeck up`; by default in the same home and on the same port each time."""
    runs: list[Up] = []
    port = free_port()

    def start(home: str = "a home", port: int = port, **more: Any) -> Up:
        runs.append(Up(folder / home, port, **more))
        return runs[-1]

    yield start
    for run in runs:
        leftovers = run.tree() if run.process.poll() is None else []
        run.process.kill()
        run.process.wait()
        for process in leftovers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
    for output in sorted(folder.glob("*.output")):
        request.node.add_report_section("teardown", output.name, output.read_text(errors="replace")[-20_000:])
