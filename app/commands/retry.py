"""`tapedeck retry`."""

from app.commands import terminal
from app.commands.options import ApiKey, Json, RecordingId, Url, connect


def command(
    recording_id: RecordingId, url: Url = None, api_key: ApiKey = None, as_json: Json = False
) -> None:
    """Put a failed recording back to work."""
    with connect(url, api_key) as client:
        client.retry(recording_id)
        recording = client.recording(recording_id)
    if as_json:
        terminal.write_json(recording)
    else:
        terminal.print_line(recording["id"], recording["status"])
