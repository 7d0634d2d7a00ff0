"""`tapedeck relate`."""

from typing import Annotated
from uuid import UUID

import typer

from app.client import Refused
from app.commands import terminal
from app.commands.options import ApiKey, Json, Url, connect

Ids = Annotated[list[UUID], typer.Argument(metavar="ID…", help="The recordings.")]


def command(recording_ids: Ids, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Have the events of recordings written as rows in the database, whatever their projects say.

    With --json, each recording is a line: its "id" and "status".
    """
    tally = terminal.Tally()
    with connect(url, api_key) as client:
        for id_ in recording_ids:
            try:
                document = client.relate(id_)
            except Refused as error:
                tally.failed(id_, error)
                continue
            if as_json:
                terminal.write_json(document)
            else:
                terminal.print_line(id_, "will have its rows")
    tally.exit()
