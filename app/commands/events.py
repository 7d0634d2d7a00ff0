"""`tapedeck events`."""

from typing import Annotated, Literal

import typer

from app.commands.options import ApiKey, Json, RecordingId, Url, connect
from app.commands.output import Output, write

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
        write(chunks, output, as_json=as_json)
