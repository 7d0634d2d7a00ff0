"""What both servers have in common: one lives in a folder, is prepared, started, watched, stopped."""

import logging
import secrets
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import msgspec

from app import leash
from app.embedded.lock import InUse, Lock
from app.embedded.places import (
    ENVIRONMENT,
    EmbeddedError,
    account_for,
    free_port,
    place_for,
    port_is_free,
    write_private,
)

NEEDED_MIB = 32
NEEDED_AT_FIRST_MIB = 256
START_S = 60.0
LEFTOVERS_S = 15.0  # how long the processes of a run that was killed may take to end

log = logging.getLogger("tapedeck.embedded")


class Remembered(msgspec.Struct):
    """`server.json`."""

    port: int
    password: str
    place: str  # the folder that `data` is in


class Server(ABC):
    """One embedded server. A context manager; or, step by step: `prepare()`, `command()`, `started()`, `is_ready()`."""

    name: str
    stop_signal: signal.Signals
    at_parents_death: signal.Signals
    stop_s = 30.0

    def __init__(self, folder: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder.absolute()
        self.settings = settings or {}
        self._lock = Lock(self.folder / "lock")
        self._process: subprocess.Popen[bytes] | None = None

    # What a supervisor needs

    def prepare(self) -> None:
        """Make all that must be there before the first start, and choose the port. Blocks for a second or two."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.take(wait_s=LEFTOVERS_S)
            self._remembered = self._remember()
            self._room()
            self.executable = self._find_executable()
            self._make_data()
        except OSError as error:
            raise EmbeddedError(f"{self.name}: {error.strerror}: {error.filename or self.folder}") from error
        finally:
            self._lock.release()

    def command(self) -> leash.Leashed:
        """What to start now; call `started()` after that. Raises InUse while a process of the last run is there."""
        self._lock.take()
        self._before_start()
        return leash.command(
            self._argv(), at_parents_death=self.at_parents_death, account=self.account, fds=(self._lock.fd,),
            env=ENVIRONMENT, cwd="/",
        )  # fmt: skip

    def started(self) -> None:
        """The command has been started (or could not be): from now on the lock is the server's own."""
        self._lock.release()

    @abstractmethod
    def is_ready(self) -> bool:
        """Does the server that was started last take connections?"""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where to connect, password included."""

    @property
    def port(self) -> int:
        return self._remembered.port

    @property
    def data(self) -> Path:
        return Path(self._remembered.place) / "data"

    @property
    def is_elsewhere(self) -> bool:
        """Is the data in another place than the server's folder?"""
        return self.data.parent != self.folder

    # By itself: what a test needs

    def __enter__(self) -> Self:
        self.prepare()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Of the process that was started last and not stopped since."""
        if self._process is None:
            raise EmbeddedError(f"{self.name} is not running")
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it is ready. Its output goes to `log` in its folder. Raises EmbeddedError."""
        deadline = time.monotonic() + START_S
        output = self.folder / "log"
        while True:
            with suppress(InUse):
                leashed = self.command()
                break
            if time.monotonic() > deadline:
                raise EmbeddedError(f"{self.name}: processes of the last run in {self.folder} do not end")
            time.sleep(0.02)
        with output.open("ab") as sink:
            begin = sink.tell()
            self._process = subprocess.Popen(  # noqa: S603 (our own command)
                leashed.argv, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, pass_fds=leashed.fds,
                env=leashed.env, cwd=leashed.cwd, start_new_session=True,
            )  # fmt: skip
        self.started()
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                said = output.read_bytes()[begin:].decode(errors="replace")
                raise EmbeddedError(f"{self.name} did not start: {telling(said)} ({output})")
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop it in order; after `stop_s` seconds, kill it. Idempotent."""
        if self._process is None:
            return
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(self.stop_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """SIGKILL, as a crash would: nothing is flushed, nobody is told."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Stop it if it runs, and start it on the same port with the same data."""
        self.stop()
        self.start()

    # What each server has of its own

    @abstractmethod
    def _find_executable(self) -> Path:
        """The binary, where the server's user can run it."""

    @abstractmethod
    def _make_data(self) -> None:
        """Make `data` when it is missing; whole or not at all."""

    @abstractmethod
    def _argv(self) -> list[str]: ...

    def _before_start(self) -> None:  # noqa: B027 (nothing to do is an answer)
        pass

    # What is remembered

    def _remember(self) -> Remembered:
        path = self.folder / "server.json"
        if path.exists():
            known = msgspec.json.decode(path.read_bytes(), type=Remembered)
            self.account = account_for(Path(known.place))
            if port_is_free(known.port):
                return known
            known.port = free_port()
        else:
            self.account = account_for(self.folder)
            place = place_for(self.name, self.folder, self.account)
            known = Remembered(free_port(), secrets.token_urlsafe(24), str(place))
        write_private(path, msgspec.json.format(msgspec.json.encode(known)) + b"\n")
        return known

    def _room(self) -> None:
        place = self.data.parent
        place.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(place).free >> 20
        needed = NEEDED_MIB if self.data.exists() else NEEDED_AT_FIRST_MIB
        if free < needed:
            raise EmbeddedError(f"the disk is full: {place} has {free} MiB left, {self.name} needs {needed}")


def telling(said: str) -> str:
    """The line of a server's output that tells best why it ended."""
    lines: Sequence[str] = said.strip().splitlines()
    for mark in ("PANIC", "FATAL", "rror", "o space left"):
        for line in lines:
            if mark in line:
                return line.strip()
    return lines[-1].strip() if lines else "it said nothing"
