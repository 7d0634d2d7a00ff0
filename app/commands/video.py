"""`tapedeck video`."""

import sys

from app.commands.options import ApiKey, Json, RecordingId, Url, connect
from app.commands.output import Output, write
from app.exits import USAGE, Exit


def command(
    recording_id: RecordingId,
    output: Output = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Get a recording's video, as it was uploaded.

    With --output, --json tells {"file", "bytes"} when the file is there.
    """
    if output is None and sys.stdout.isatty():
        raise Exit("a video is nothing for a terminal: name a file with -o", USAGE)
    with connect(url, api_key) as client, client.video(recording_id) as chunks:
        write(chunks, output, as_json=as_json)
