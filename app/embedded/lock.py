"""Who may use a folder: one run at a time, to its last process."""

import fcntl
import os
import time
from pathlib import Path

import psutil

from app.embedded.places import EmbeddedError


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
            if time.monotonic() >= deadline or (pid not in (None, os.getpid()) and is_alive(pid)):
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


def is_alive(pid: int) -> bool:
    """Is there such a process, and not only its exit status that nobody has asked for?"""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
