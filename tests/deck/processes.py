"""Real web, worker and dispatcher processes, for tests that must see them live and die."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import httpx
import psutil

from app import leash
from app.embedded.places import free_port
from app.supervisor import read_procfile
from models.bootstrap import FirstKeys, ensure_first_tenant

PROCFILE = Path(__file__).resolve().parents[2] / "Procfile"
SECRET_KEY = "a secret key that only tests know, long enough"
READY_S = 60.0
SHOWN_CHARS = 20_000


class Deck:
    """The processes of the Procfile against given servers, with a first tenant on an empty database.

    `environment` adds to and overrides what they see, e.g. `{"TAPEDECK_LEASE_S": "2"}`. Nothing is started again by
    itself. Logs are in `folder`, and shown when the test that asked for the deck fails.
    """

    def __init__(
        self,
        folder: Path,
        database_url: str,
        redis_url: str,
        storage_url: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.keys = FirstKeys.generate()
        self.database_url = database_url
        self.storage_url = storage_url or (folder / "objects").as_uri()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.environment = {
            **os.environ,
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
            "PYTHONUNBUFFERED": "1",
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "STORAGE_URL": self.storage_url,
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "TAPEDECK_HOME": str(folder),
            "TAPEDECK_SECRET_KEY": SECRET_KEY,
            **(environment or {}),
        }
        self._commands = read_procfile(PROCFILE)
        del self._commands["release"]
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    async def start(self, *names: str) -> None:
        """Start these (default: all) and, when web is among them, wait until it is ready."""
        await ensure_first_tenant(self.database_url, self.keys)
        for name in names or self._commands:
            self._start(name)
        if not names or "web" in names:
            await self.wait_until_ready()

    def _start(self, name: str) -> None:
        leashed = leash.command(self._commands[name])
        with self._log(name).open("ab") as log:
            self._processes[name] = subprocess.Popen(
                leashed.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                pass_fds=leashed.fds,
                start_new_session=True,
            )

    async def wait_until_ready(self) -> None:
        """Until GET /ready says so. Raises AssertionError when the web process ends, or time is up."""
        deadline = time.monotonic() + READY_S
        async with self.client() as client:
            while True:
                with suppress(httpx.HTTPError):
                    if (await client.get("/ready")).is_success:
                        return
                assert self._processes["web"].poll() is None, self.log("web")
                assert time.monotonic() < deadline, "not ready: " + self.log("web")
                await asyncio.sleep(0.05)

    def client(self, key: str | None = None) -> httpx.AsyncClient:
        """An HTTP client with the first tenant's key (ingest, read, manage), or another."""
        return httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key or self.keys.api_key}"},
            timeout=90,
            trust_env=False,
        )

    def pids(self, name: str) -> list[int]:
        """Of this process and of all that it started, itself first."""
        process = psutil.Process(self._processes[name].pid)
        return [process.pid, *(child.pid for child in process.children(recursive=True))]

    def is_running(self, name: str) -> bool:
        return self._processes[name].poll() is None

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal the process and all that it started; wait for its end when that is what the signal means."""
        process = self._processes[name]
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        if number == signal.SIGKILL:
            process.wait()

    async def restart(self, name: str) -> None:
        """SIGKILL and start again; web is waited for."""
        self.kill(name)
        await self.start(name)

    def stop(self) -> None:
        """SIGKILL everything. Idempotent."""
        for name in self._processes:
            self.kill(name)

    def log(self, name: str) -> str:
        """What this process and its predecessors said; the end of it, when it is long."""
        return self._log(name).read_text(errors="replace")[-SHOWN_CHARS:] if self._log(name).exists() else ""

    def logs(self) -> dict[str, str]:
        return {name: self.log(name) for name in self._processes}

    def whole_logs(self) -> list[str]:
        """All that all processes said."""
        return [path.read_text(errors="replace") for path in self.folder.glob("*.log")]

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"
