"""`tapedeck up` as a person runs it, for tests that watch it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

TAPEDECK = str(Path(sys.executable).with_name("tapedeck"))
OURS = ("DATABASE_URL", "REDIS_URL", "STORAGE_URL", "HOST", "PORT")
READY_S = 90.0
STOP_S = 60.0


def clean_environment(**more: str) -> dict[str, str]:
    """This environment without anything that would configure a deck, and `more`."""
    foreign = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    kept = {name: value for name, value in foreign.items() if name not in OURS and "TAPEDECK" not in name}
    return kept | more


class Up:
    """One run of a deck in `home`. Its output is in `output`; everything that it started can be listed."""

    def __init__(
        self,
        home: Path,
        port: int,
        argv: Sequence[str] = (TAPEDECK, "up"),
        cwd: Path | None = None,
        **more: str,
    ) -> None:
        self.home = home
        self.output = home.parent / f"{home.name}.output"
        self._begin = self.output.stat().st_size if self.output.exists() else 0
        environment = clean_environment(TAPEDECK_HOME=str(home), PORT=str(port), **more)
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                cwd=cwd or home.parent,
            )

    def said(self) -> str:
        return self.output.read_bytes()[self._begin :].decode()

    async def ready(self) -> dict[str, Any]:
        """Wait until it says that it is ready; the credentials."""
        await self.until(lambda: "ready at" in self.said())
        credentials: dict[str, Any] = json.loads((self.home / "credentials.json").read_bytes())
        return credentials

    async def until(self, holds: Any) -> None:
        """Wait until something holds; fails when the deck ends, or it takes too long."""
        deadline = time.monotonic() + READY_S
        while not holds():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            await asyncio.sleep(0.05)

    def tree(self) -> list[psutil.Process]:
        """Every process of this deck except the supervisor, servers' and workers' children included."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def named(self, mark: str) -> psutil.Process:
        """The child of the supervisor whose command line has this mark."""
        (found,) = self._marked(mark)
        return found

    def has(self, mark: str) -> bool:
        return len(self._marked(mark)) == 1

    def _marked(self, mark: str) -> list[psutil.Process]:
        found = []
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):
                # Before its exec a process on a leash has the command of its leash, which ends in its own.
                command = " ".join(child.cmdline())
                if mark in command and "leash.py" not in command:
                    found.append(child)
        return found

    async def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Signal the supervisor, wait for its end; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, STOP_S)


async def gone(processes: Sequence[psutil.Process], within_s: float = 20.0) -> None:
    """Wait until none of these processes runs; fails after that time."""
    deadline = time.monotonic() + within_s
    while left := [process for process in processes if runs(process)]:
        assert time.monotonic() < deadline, left
        await asyncio.sleep(0.05)


def runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def client(credentials: Mapping[str, Any]) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=credentials["url"],
        headers={"Authorization": f"Bearer {credentials['api_key']}"},
        timeout=60,
        trust_env=False,
    )


def python(script: str, *arguments: str) -> subprocess.Popen[str]:
    """An interpreter that runs this script; read its stdout, kill it."""
    return subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True)


async def pid_said_by(process: subprocess.Popen[str]) -> psutil.Process:
    """The process whose pid is on the next line of that one's output."""
    assert process.stdout is not None
    return psutil.Process(int(await asyncio.to_thread(process.stdout.readline)))
