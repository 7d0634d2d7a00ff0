"""A directory of immutable files, written so that a crash leaves a whole file or none.

A draft is written to `.drafts/` in the same file system, synced, and given its name in one step; then every folder on
the way is synced. Folders are opened one by one without following symbolic links, so no name leads out of the root.
"""

import errno
import os
import secrets
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import google_crc32c

from storage.protocol import Refused, Stored, Unavailable, check_name
from storage.source import CHUNK

DRAFTS = ".drafts"
STALE_DRAFT_S = (
    3600  # nothing writes to a draft so rarely: uploads that stall are ended, puts have a deadline
)

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_AWAY = frozenset({  # the disk, the mount or the system is in trouble, and may recover
    errno.EAGAIN, errno.EBUSY, errno.EDQUOT, errno.EINTR, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENODEV,
    errno.ENOMEM, errno.ENOSPC, errno.ENXIO, errno.ESTALE, errno.ETIMEDOUT,
})  # fmt: skip


@contextmanager
def os_errors_named() -> Iterator[None]:
    """Turns an OSError into Unavailable or Refused."""
    try:
        yield
    except OSError as error:
        kind = Unavailable if error.errno in _AWAY else Refused
        raise kind(f"local storage: {error.strerror or error}") from error


class OpenFile(NamedTuple):
    """A file that was there when it was opened, and stays readable when its name is gone."""

    fd: int
    size: int
    generation: str

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes at `offset`."""
        with os_errors_named():
            return os.pread(self.fd, size, offset)

    def close(self) -> None:
        os.close(self.fd)


class Directory:
    """Plain, blocking file operations below one root; call them in threads."""

    def __init__(self, root: Path) -> None:
        """Makes the root when it is missing. Raises Unavailable, Refused."""
        self.root = root
        with os_errors_named():
            (root / DRAFTS).mkdir(mode=0o700, parents=True, exist_ok=True)

    def open(self, name: str) -> OpenFile | None:
        """The file of that name, or None. Raises Refused for a bad name, a symbolic link or what is no file."""
        *folders, leaf = _split(name)
        try:
            with os_errors_named_but_absence(), self._walk(folders) as fds:
                fd = os.open(leaf, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fds[-1])
        except FileNotFoundError:
            return None
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            raise Refused(f"local storage: {name} is not a file")
        return OpenFile(fd, status.st_size, _generation(status))

    def stat(self, name: str) -> Stored | None:
        """Size and CRC32C of the bytes that are really there (it reads them all), or None."""
        file = self.open(name)
        if file is None:
            return None
        try:
            size = crc32c = 0
            while chunk := file.read(size, CHUNK):
                size += len(chunk)
                crc32c = google_crc32c.extend(crc32c, chunk)
            return Stored(size, crc32c, file.generation)
        finally:
            file.close()

    def remove(self, name: str) -> bool:
        """Removes the file, and the folders which that leaves empty. False when there was none."""
        *folders, leaf = _split(name)
        try:
            with os_errors_named_but_absence(), self._walk(folders) as fds:
                os.unlink(leaf, dir_fd=fds[-1])
                os.fsync(fds[-1])
                with suppress(OSError):  # the first one that is not empty ends it
                    for folder, parent in zip(reversed(folders), reversed(fds[:-1]), strict=True):
                        os.rmdir(folder, dir_fd=parent)
        except FileNotFoundError:
            return False
        return True

    def sync(self, name: str) -> None:
        """Makes the name durable that an earlier writer, killed since, may have left unsynced."""
        *folders, _ = _split(name)
        with os_errors_named(), self._walk(folders) as fds:
            _sync(fds)

    def draft(self) -> "Draft":
        """A new, empty draft."""
        with os_errors_named(), self._walk([DRAFTS]) as fds:
            label = secrets.token_hex(16)
            fd = os.open(label, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=fds[-1])
        return Draft(self, label, fd)

    def sweep(self) -> int:
        """Removes the drafts that killed writers left behind; says how many."""
        oldest = time.time() - STALE_DRAFT_S
        removed = 0
        with os_errors_named(), self._walk([DRAFTS]) as fds:
            for label in os.listdir(fds[-1]):
                with suppress(FileNotFoundError):
                    if os.stat(label, dir_fd=fds[-1], follow_symlinks=False).st_mtime < oldest:
                        os.unlink(label, dir_fd=fds[-1])
                        removed += 1
        return removed

    @contextmanager
    def _walk(self, folders: list[str], *, create: bool = False) -> Iterator[list[int]]:
        """Descriptors of the root and of each folder below it, the innermost last."""
        with ExitStack() as stack:
            fds: list[int] = []

            def enter(path: str | Path, flags: int, parent: int | None) -> None:
                fds.append(os.open(path, flags, dir_fd=parent))
                stack.callback(os.close, fds[-1])

            try:
                enter(self.root, _FOLDER & ~os.O_NOFOLLOW, None)
            except FileNotFoundError as error:  # it was there at the start: a mount or a disk is away
                raise Unavailable(f"local storage: {self.root} is gone") from error
            for folder in folders:
                if create:
                    with suppress(FileExistsError):
                        os.mkdir(folder, 0o700, dir_fd=fds[-1])
                enter(folder, _FOLDER, fds[-1])
            yield fds


class Draft:
    """A file that has no name yet. As a context manager it discards what was not published."""

    def __init__(self, directory: Directory, label: str, fd: int) -> None:
        self.size = 0
        self.crc32c = 0
        self._directory = directory
        self._label = label
        self._fd = fd
        self._lock = (
            threading.Lock()
        )  # `discard` may come while a cancelled caller's write still runs in a thread
        self._open = True

    def write(self, data: bytes) -> None:
        """Appends. Raises Unavailable when the disk is full."""
        with self._lock, os_errors_named():
            view = memoryview(data)
            while self._open and view:
                view = view[os.write(self._fd, view) :]
            self.size += len(data)
            self.crc32c = google_crc32c.extend(self.crc32c, data)

    def publish(
        self, name: str, *, replace: bool, last_check: Callable[[], None] = lambda: None
    ) -> Stored | None:
        """Syncs the draft and gives it its name; None when the name is taken and may not be replaced.

        `last_check` runs directly before the one step that makes the file visible, and may raise to prevent it.
        """
        *folders, leaf = _split(name)
        with self._lock, os_errors_named():
            if not self._open:
                raise Refused("local storage: the draft was discarded")
            os.fsync(self._fd)
            last_check()
            for _ in range(8):
                try:
                    with self._directory._walk(folders, create=True) as fds:
                        self._name(leaf, fds, replace)
                        _sync(fds)
                        return Stored(self.size, self.crc32c, _generation(os.fstat(self._fd)))
                except FileExistsError:
                    return None
                except FileNotFoundError:  # a delete has just removed the folder that it left empty
                    continue
            raise Unavailable(f"local storage: the folder of {name} keeps vanishing")

    def discard(self) -> None:
        """Closes the draft, and removes it unless it was published."""
        with self._lock:
            if self._open:
                self._open = False
                os.close(self._fd)
                with suppress(OSError, Unavailable), self._directory._walk([DRAFTS]) as fds:
                    os.unlink(self._label, dir_fd=fds[-1])  # what cannot be removed now is swept later

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def _name(self, leaf: str, fds: list[int], replace: bool) -> None:
        drafts = os.open(DRAFTS, _FOLDER, dir_fd=fds[0])
        try:
            if replace:
                os.replace(self._label, leaf, src_dir_fd=drafts, dst_dir_fd=fds[-1])
            else:  # link, unlike rename, fails when the name is taken; `discard` removes the other name
                os.link(self._label, leaf, src_dir_fd=drafts, dst_dir_fd=fds[-1], follow_symlinks=False)
        finally:
            os.close(drafts)


@contextmanager
def os_errors_named_but_absence() -> Iterator[None]:
    """Like `os_errors_named`, but lets FileNotFoundError through."""
    try:
        with os_errors_named():
            yield
    except Refused as refused:
        if isinstance(refused.__cause__, FileNotFoundError):
            raise refused.__cause__ from None
        raise


def _split(name: str) -> list[str]:
    check_name(name)
    return name.split("/")


def _sync(fds: list[int]) -> None:
    for fd in reversed(fds):
        os.fsync(fd)


def _generation(status: os.stat_result) -> str:
    # A file that replaces another was written while that one still had its inode, so the two never agree.
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}"
