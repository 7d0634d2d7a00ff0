"""`tapedeck show`."""

from typing import Annotated

import typer

from app import describe
from app.commands import terminal
from app.commands.options import ApiKey, Json, RecordingId, Url, connect
from app.exits import REFUSED

Wait = Annotated[
    bool, typer.Option("--wait", help="Wait until it is ready or failed; if it failed, exit with 1.")
]


def command(
    recording_id: RecordingId,
    wait: Wait = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Show a recording."""
    with connect(url, api_key) as client:
        recording = client.recording(recording_id)
        if wait:
            for recording in client.follow(recording_id):  # noqa: B007 (the last one is what it became)
                pass
    if as_json:
        terminal.write_json(recording)
    else:
        terminal.print_pairs(describe.rows(recording))
    if wait and recording["status"] == "failed":
        raise typer.Exit(REFUSED)
