"""`tapedeck delete`."""

from app import describe
from app.commands import terminal
from app.commands.options import ApiKey, Json, RecordingIds, Url, Yes, connect
from app.exits import Exit


def command(
    recording_ids: RecordingIds,
    yes: Yes = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Delete recordings.

    With --json: {"deleted": [ID, …]}.
    """
    if not yes:
        question = f"Delete {describe.plural(len(recording_ids), 'recording')} for good?"
        terminal.confirm(question, otherwise="nothing was deleted")
    tally, deleted = terminal.Tally(), []
    with connect(url, api_key) as client:
        for recording_id in recording_ids:
            try:
                client.delete(recording_id)
            except Exit as error:
                tally.failed(recording_id, error)
            else:
                deleted.append(recording_id)
                if not as_json:
                    terminal.print_line("deleted", recording_id)
    if as_json:
        terminal.write_json({"deleted": deleted})
    tally.exit()
