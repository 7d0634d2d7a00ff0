"""`tapedeck events`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, Literal
from uuid import uuid4

import typer

from app.commands import terminal
from app.commands.options import ApiKey, Json, RecordingId, Url, connect
from app.exits import USAGE, Exit

Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write to this file, whole or not at all.")
]
FromMs = Annotated[
    int | None, typer.Option("--from-ms", min=0, help="From here, in ms after the first event.")
]
ToMs = Annotated[
    int | None, typer.Option("--to-ms", min=0, help="To before here, in ms after the first event.")
]
Align = Annotated[
    Literal["snapshot"] | None,
    typer.Option("--align", help="Start early enough that the cut plays on its own."),
]
Ndjson = Annotated[bool, typer.Option("--ndjson", help="One event a line instead of an array.")]


def command(
    recording_id: RecordingId,
    output: Output = None,
    from_ms: FromMs = None,
    to_ms: ToMs = None,
    align: Align = None,
    ndjson: Ndjson = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Get a recording's events, as rrweb's player takes them.

    What comes is JSON in any case. With --output, --json tells {"file", "bytes"} when the file is there.
    """
    given = {"from_ms": from_ms, "to_ms": to_ms, "align": align}
    cut = {name: str(value) for name, value in given.items() if value is not None}
    with connect(url, api_key) as client, client.events(recording_id, cut, ndjson=ndjson) as chunks:
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
