"""`tapedeck hold`."""

from typing import Annotated

import typer

from app.commands import terminal
from app.commands.options import ApiKey, Json, RecordingIds, Url, connect
from app.exits import Exit

Release = Annotated[bool, typer.Option("--release", help="Let them be deleted again.")]


def command(
    recording_ids: RecordingIds,
    release: Release = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Put recordings on hold: nothing deletes them, no person, no retention and no erasure.

    With --json: {"held": [ID, …]}, or {"released": [ID, …]}.
    """
    done = "released" if release else "held"
    tally, changed = terminal.Tally(), []
    with connect(url, api_key) as client:
        for recording_id in recording_ids:
            try:
                (client.release if release else client.hold)(recording_id)
            except Exit as error:
                tally.failed(recording_id, error)
            else:
                changed.append(recording_id)
                if not as_json:
                    terminal.print_line(done, recording_id)
    if as_json:
        terminal.write_json({done: changed})
    tally.exit()
