"""Options that `tapedeck ops …` share: which jobs, and an operator's client."""

from typing import Annotated, Any, Literal
from uuid import UUID

import typer

from app import credentials
from app.commands import terminal
from app.commands.options import PATIENCE_S
from app.ops_client import OpsClient
from settings import load_home

OpsKey = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        help="With the scope operate. Default: TAPEDECK_API_KEY, else operator_key of `make up`.",
    ),
]
KindName = Literal["process", "video_deadline", "verify_video", "purge", "mask", "relate", "close"]
Kind = Annotated[KindName | None, typer.Option("--kind", help="Only of this kind.")]
State = Annotated[
    Literal["due", "scheduled", "running", "dead", "done", "cancelled"] | None,
    typer.Option("--state", help="Only in this state."),
]
Tenant = Annotated[UUID | None, typer.Option("--tenant", metavar="ID", help="Only of this tenant.")]
Recording = Annotated[UUID | None, typer.Option("--recording", metavar="ID", help="Only of this recording.")]
ErrorCode = Annotated[str | None, typer.Option("--error-code", help="Only with this error.")]
Fingerprint = Annotated[
    str | None, typer.Option("--fingerprint", help="Only what failed like this the last time.")
]
ErrorText = Annotated[
    str | None, typer.Option("--error", help="Only with this in the newest error, in any case.")
]
WorkerName = Annotated[
    str | None, typer.Option("--worker", help="Only what the process of this name runs, or ran.")
]
OlderThan = Annotated[
    float | None, typer.Option("--older-than", min=0, help="Only those made so many seconds ago, or earlier.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]
All = Annotated[bool, typer.Option("--all", help="All of them, however many.")]


def filter_of(**given: object) -> dict[str, Any]:
    """The filter as the API takes it, of what was given."""
    found = {name: value for name, value in given.items() if value is not None}
    return {name: str(value) if isinstance(value, UUID) else value for name, value in found.items()}


def connect_ops(url: str | None, api_key: str | None) -> OpsClient:
    """A client for the deck that the options, the environment or `credentials.json` name. Raises Exit."""
    deck = credentials.find(load_home(), url=url, api_key=api_key, operator=True)
    return OpsClient(deck.url, deck.api_key, patience_s=PATIENCE_S, on_wait=terminal.say_waiting)
