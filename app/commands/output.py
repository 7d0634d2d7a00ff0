"""Where a command writes what it got: standard output, or a file that is whole or not there."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO
from uuid import uuid4

import typer

from app.commands import terminal
from app.exits import USAGE, Exit

Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write to this file, whole or not at all.")
]


def write(chunks: Iterable[bytes], output: Path | None, *, as_json: bool) -> None:
    """Everything to `output`, and with `as_json` what that became; None or `-` is standard output. Raises Exit."""
    if output is None or str(output) == "-":
        terminal.write(chunks)
        return
    try:
        with _whole(output) as file:
            count = sum(file.write(chunk) for chunk in chunks)
    except OSError as error:
        raise Exit(f"{output}: {error.strerror or error}", USAGE) from None
    if as_json:
        terminal.write_json({"file": str(output), "bytes": count})


@contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the name `path` only when everything is in it. A device or a pipe is written as it is."""
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    target = path.resolve()
    part = target.with_name(f".{target.name[:100]}.{uuid4().hex}.part")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
