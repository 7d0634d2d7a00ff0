"""Options that the sub-commands share, and what they make of them: a client, rules."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from app import credentials
from app.client import Client
from app.commands import terminal
from app.exits import USAGE, Exit
from replay.privacy import BadRules, Rules, parse_rules
from settings import load_home

PATIENCE_S = 5.0

Url = Annotated[
    str | None, typer.Option("--url", help="The deck. Default: TAPEDECK_URL, else the one `make up` runs.")
]
ApiKey = Annotated[
    str | None, typer.Option("--api-key", help="Default: TAPEDECK_API_KEY, else that of `make up`.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RecordingId = Annotated[UUID, typer.Argument(metavar="ID", help="The recording.")]
RecordingIds = Annotated[list[UUID], typer.Argument(metavar="ID…", help="The recordings.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def read_rules(file: Path) -> Rules:
    """The rules in a file, checked. Raises Exit."""
    try:
        return parse_rules(file.read_bytes())
    except OSError as error:
        raise Exit(f"{file}: {error.strerror or error}", USAGE) from None
    except BadRules as error:
        raise Exit(f"{file}: {error}", USAGE) from None


def connect(url: str | None, api_key: str | None, patience_s: float = PATIENCE_S) -> Client:
    """A client for the deck that the options, the environment or `credentials.json` name. Raises Exit."""
    deck = credentials.find(load_home(), url=url, api_key=api_key)
    return Client(deck.url, deck.api_key, patience_s=patience_s, on_wait=terminal.say_waiting)
