"""Which files there are: those that were named, and those in the folders that were named."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from app.wrappers import BadFile, NoRecording


class File(NamedTuple):
    """`place`: its path below what was named; `named`: it is that itself. `size` in bytes."""

    path: str
    place: str
    size: int
    named: bool


class Odd(NamedTuple):
    """What cannot be read as a recording, and why. A NoRecording is nothing to worry about, unless it was `named`."""

    label: str
    error: BadFile
    named: bool = False


def files(paths: Iterable[Path]) -> Iterator[File | Odd]:
    """The files, each folder's in the order of their names, without hidden ones. Links are followed, none in circles."""
    seen: set[tuple[int, int]] = set()
    for path in paths:
        yield from _below(str(path), seen)


def printable(path: str) -> str:
    """A path, without the bytes that are no text."""
    return path.encode(errors="replace").decode()


def reason(error: OSError) -> BadFile:
    """What is told of a file that cannot be read."""
    return BadFile(error.strerror or str(error))


def _below(top: str, seen: set[tuple[int, int]]) -> Iterator[File | Odd]:
    waiting = [top]
    while waiting:
        path = waiting.pop()
        named = path == top
        try:
            status = os.stat(path)
            if stat.S_ISDIR(status.st_mode):
                if (status.st_dev, status.st_ino) in seen:
                    yield Odd(printable(path), NoRecording("a folder that was read already"))
                    continue
                seen.add((status.st_dev, status.st_ino))
                names = sorted((name for name in os.listdir(path) if not name.startswith(".")), reverse=True)
                waiting += [os.path.join(path, name) for name in names]
            elif named or stat.S_ISREG(status.st_mode):
                place = os.path.basename(path) if named else os.path.relpath(path, top)
                yield File(path, printable(place), status.st_size, named)
            else:
                yield Odd(printable(path), NoRecording("not a file"))
        except OSError as error:
            yield Odd(printable(path), reason(error), named)
