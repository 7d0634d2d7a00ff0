"""A directory of immutable files, written so that a crash leaves a whole file or none.

A draft is written to `.drafts/` in the same file system, synced, and given its name in one step; then every folder on
the way is synced. Folders are opened one by one without following symbolic links, so no name leads out of the root.
Where the root or its `.drafts/` is gone, a disk is away, and nothing below is taken for absent.
A copy is a hard link: nobody writes to a file that has its name, and what replaces it is another file.
The file system must know hard links, and times finer than a second.
"""

import errno
import os
import secrets
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import google_crc32c

from storage.protocol import Found, Refused, Stored, Unavailable, check_name
from storage.source import CHUNK

DRAFTS = ".drafts"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_AWAY = frozenset({  # the disk, the mount or the system is in trouble, and may recover
    errno.EAGAIN, errno.EBUSY, errno.EDQUOT, errno.EINTR, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENODEV,
    errno.ENOMEM, errno.ENOSPC, errno.ENXIO, errno.ESTALE, errno.ETIMEDOUT,
})  # fmt: skip


@contextmanager
def _os_errors_named() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = Unavailable if error.errno in _AWAY else Refused
        raise kind(f"local storage: {error.strerror or error}") from error


class OpenFile(NamedTuple):
    """A file that was there when it was opened, and stays readable when its name is gone."""

    file: FileIO
    size: int
    generation: str

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes at `offset`; none only at the end. Raises Unavailable, Refused."""
        with _os_errors_named():
            return os.pread(self.file.fileno(), size, offset)

    def measure(self, check: Callable[[], None] = lambda: None) -> Stored:
        """Size and CRC32C of the bytes that are really there: it reads them all. `check` runs in between, and may raise."""
        size = crc32c = 0
        while chunk := self.read(size, CHUNK):
            size += len(chunk)
            crc32c = google_crc32c.extend(crc32c, chunk)
            check()
        return Stored(size, crc32c, self.generation)

    def close(self) -> None:
        self.file.close()


class _Way(NamedTuple):
    """Descriptors: of `.drafts/`, and of the folders from the root to the one that holds the file."""

    drafts: int
    folders: list[int]

    def sync(self) -> None:
        for folder in reversed(self.folders):
            os.fsync(folder)


class Directory:
    """Plain, blocking file operations below one root; call them in threads. All raise Unavailable and Refused."""

    def __init__(self, root: Path) -> None:
        """Makes the root when it is missing."""
        self.root = root
        with _os_errors_named():
            (root / DRAFTS).mkdir(mode=0o700, parents=True, exist_ok=True)

    def open(self, name: str) -> OpenFile | None:
        """The file of that name, or None. Refuses a symbolic link and what is no file."""
        *folders, leaf = _split(name)
        with _os_errors_named():
            try:
                with self._way(folders) as way:
                    file = FileIO(os.open(leaf, _READ, dir_fd=way.folders[-1]))
            except FileNotFoundError:
                return None
            status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            file.close()
            raise Refused(f"local storage: {name} is not a file")
        return OpenFile(file, status.st_size, _generation(status))

    def link(self, name: str, generation: str) -> "Draft | None":
        """A draft that is the named file itself, if it is still that generation, else None; `measure` it."""
        *folders, leaf = _split(name)
        file = self.open(name)
        if file is None:
            return None
        file.close()
        label = secrets.token_hex(16)
        with _os_errors_named():
            try:
                with self._way(folders) as way:
                    os.link(
                        leaf,
                        label,
                        src_dir_fd=way.folders[-1],
                        dst_dir_fd=way.drafts,
                        follow_symlinks=False,
                    )
                    draft = Draft(self, label, FileIO(os.open(label, _READ, dir_fd=way.drafts)))
            except FileNotFoundError:
                return None
        if draft.generation() != generation:
            draft.discard()
            return None
        return draft

    def find(self, name: str) -> Found | None:
        """Which file has the name, or None."""
        file = self.open(name)
        if file is None:
            return None
        file.close()
        return Found(file.size, file.generation)

    def stat(self, name: str) -> Stored | None:
        """What is really there, or None."""
        file = self.open(name)
        if file is None:
            return None
        with closing(file):
            return file.measure()

    def remove(self, name: str) -> bool:
        """Removes the file, and the folders which that leaves empty. False when there was none."""
        *folders, leaf = _split(name)
        with _os_errors_named():
            try:
                with self._way(folders) as way:
                    os.unlink(leaf, dir_fd=way.folders[-1])
                    os.fsync(way.folders[-1])
                    with suppress(OSError):  # the first one that is not empty ends it
                        for folder, parent in zip(reversed(folders), reversed(way.folders[:-1]), strict=True):
                            os.rmdir(folder, dir_fd=parent)
            except FileNotFoundError:
                return False
        return True

    def sync(self, name: str) -> None:
        """Makes the name durable that an earlier writer, killed since, may have left unsynced."""
        *folders, _ = _split(name)
        with _os_errors_named(), self._way(folders) as way:
            way.sync()

    def draft(self) -> "Draft":
        """A new, empty draft."""
        label = secrets.token_hex(16)
        with _os_errors_named(), self._way([]) as way:
            return Draft(self, label, FileIO(os.open(label, _WRITE, 0o600, dir_fd=way.drafts), "w"))

    def check(self) -> None:
        """Raises Unavailable when the root is gone."""
        with _os_errors_named(), self._way([]):
            pass

    def sweep(self, older_than_s: float) -> int:
        """Removes the drafts that killed writers left behind, untouched for so long; says how many."""
        oldest = time.time() - older_than_s
        removed = 0
        with _os_errors_named(), self._way([]) as way:
            for label in os.listdir(way.drafts):
                with suppress(FileNotFoundError):
                    # Not the time of the last write: what was linked may have been written long ago.
                    if os.stat(label, dir_fd=way.drafts, follow_symlinks=False).st_ctime < oldest:
                        os.unlink(label, dir_fd=way.drafts)
                        removed += 1
        return removed

    @contextmanager
    def _way(self, folders: list[str], *, create: bool = False) -> Iterator[_Way]:
        with ExitStack() as stack:

            def enter(path: str | Path, flags: int = _FOLDER, parent: int | None = None) -> int:
                fd = os.open(path, flags, dir_fd=parent)
                stack.callback(os.close, fd)
                return fd

            try:
                root = enter(self.root, _FOLDER & ~os.O_NOFOLLOW)
                way = _Way(enter(DRAFTS, parent=root), [root])
            except FileNotFoundError as error:
                raise Unavailable(f"local storage: {self.root} is gone, or its {DRAFTS}") from error
            for folder in folders:
                if create:
                    with suppress(FileExistsError):
                        os.mkdir(folder, 0o700, dir_fd=way.folders[-1])
                way.folders.append(enter(folder, parent=way.folders[-1]))
            yield way


class Draft:
    """A file that has no name yet, or not its new one. As a context manager it discards what was not published."""

    def __init__(self, directory: Directory, label: str, file: FileIO) -> None:
        self.size = 0
        self.crc32c = 0
        self._directory = directory
        self._label = label
        self._file = file
        self._lock = (
            threading.Lock()
        )  # `discard` may come while a cancelled caller's write still runs in a thread

    def write(self, data: bytes) -> None:
        """Appends. Raises Unavailable when the disk is full."""
        with self._in_use():
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
            self.size += len(data)
            self.crc32c = google_crc32c.extend(self.crc32c, data)

    def measure(self, check: Callable[[], None]) -> None:
        """Learns size and CRC32C of a file that was linked. `check` runs in between, and may raise."""
        with self._in_use():
            self.size, self.crc32c, _ = OpenFile(self._file, 0, "").measure(check)

    def generation(self) -> str:
        """Which file it is."""
        with self._in_use():
            return _generation(os.fstat(self._file.fileno()))

    def publish(
        self, name: str, *, replace: bool, last_check: Callable[[], None] = lambda: None
    ) -> Stored | None:
        """Syncs the draft and gives it its name; None when the name is taken and may not be replaced.

        `last_check` runs directly before the one step that makes the file visible, and may raise to prevent it.
        """
        *folders, leaf = _split(name)
        with self._in_use():
            if self._file.writable():  # a linked file is not: its times are its other name's, too
                os.utime(self._file.fileno(), ns=(time.time_ns(),) * 2)
            os.fsync(self._file.fileno())
            for _ in range(8):
                try:
                    with self._directory._way(folders, create=True) as way:
                        last_check()
                        if replace:
                            os.replace(self._label, leaf, src_dir_fd=way.drafts, dst_dir_fd=way.folders[-1])
                        else:  # unlike rename it fails when the name is taken; `discard` removes the draft's own
                            os.link(self._label, leaf, src_dir_fd=way.drafts, dst_dir_fd=way.folders[-1])
                        way.sync()
                        status = os.fstat(self._file.fileno())
                        return Stored(self.size, self.crc32c, _generation(status))
                except FileExistsError:
                    return None
                except FileNotFoundError:  # a delete has just removed the folder that it left empty
                    continue
            raise Unavailable(f"local storage: the folder of {name} keeps vanishing")

    def discard(self) -> None:
        """Closes the draft, and removes it unless it was published."""
        with self._lock:
            if not self._file.closed:
                self._file.close()
                with suppress(OSError, Unavailable), self._directory._way([]) as way:
                    os.unlink(self._label, dir_fd=way.drafts)  # what cannot be removed now is swept later

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        with self._lock, _os_errors_named():
            if self._file.closed:
                raise Refused("local storage: the draft was discarded")
            yield


def _split(name: str) -> list[str]:
    check_name(name)
    return name.split("/")


def _generation(status: os.stat_result) -> str:
    # The next file of a name may have the inode of the last but one. The time that `publish` sets tells them apart; the
    # file system's own would not: it ticks every few milliseconds.
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}"
