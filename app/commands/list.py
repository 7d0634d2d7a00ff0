"""`tapedeck list`."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import typer

from app import describe
from app.commands import terminal
from app.commands.options import ApiKey, Json, Url, connect

DEFAULT_LIMIT = 25

Project = Annotated[UUID | None, typer.Option("--project", help="Only this project's.")]
Status = Annotated[
    Literal["uploading", "processing", "ready", "failed"] | None,
    typer.Option("--status", help="Only with this status."),
]
Session = Annotated[str | None, typer.Option("--session", help="Only of this session id.")]
Fingerprint = Annotated[str | None, typer.Option("--fingerprint", help="Only of this fingerprint.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]
All = Annotated[bool, typer.Option("--all", help="All of them, however many.")]


def command(
    project: Project = None,
    status: Status = None,
    session: Session = None,
    fingerprint: Fingerprint = None,
    limit: Limit = DEFAULT_LIMIT,
    everything: All = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """List recordings, newest first.

    With --json: {"recordings": […]}, as the API gives them.
    """
    given = {"project_id": project, "status": status, "session_id": session, "fingerprint": fingerprint}
    filters = {name: str(value) for name, value in given.items() if value is not None}
    with connect(url, api_key) as client:
        found = client.recordings(filters, None if everything else limit)
        if as_json:
            terminal.write(_array(found))
            return
        columns = ("id", "status", "started", "duration", "events", "name")
        terminal.print_table(columns, map(_cells, found))


def _array(recordings: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    opening = b'{"recordings":['
    for recording in recordings:
        yield opening + msgspec.json.encode(recording)
        opening = b",\n"
    yield b"]}\n" if opening == b",\n" else opening + b"]}\n"


def _cells(recording: dict[str, Any]) -> tuple[str, ...]:
    return (
        recording["id"],
        recording["status"],
        describe.moment(recording["started_at"]),
        describe.duration(recording["duration_ms"]),
        str(recording["event_count"] if recording["event_count"] is not None else ""),
        recording["name"] or "",
    )
