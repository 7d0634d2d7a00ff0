"""What the commands write: results to standard output, the rest to standard error.

Names, URLs and messages come from recordings, which strangers made: nothing of them may steer the terminal.
"""

import sys
from collections.abc import Iterable
from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.exits import Exit

PIPE_WIDTH = 200  # columns, where no terminal says


def stdout() -> Console:
    """The console that results go to."""
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def stderr() -> Console:
    """The console that progress goes to."""
    return Console(stderr=True, highlight=False)


def safe(value: object) -> Text:
    """Text without control characters and markup."""
    return Text("".join(c if c.isprintable() else "\ufffd" for c in str(value)))


def table(*columns: str) -> Table:
    """An empty table with these headings."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, no_wrap=True, overflow="ellipsis", min_width=36 if column == "id" else None)
    return made


def print_line(*parts: object) -> None:
    """One line on standard output."""
    stdout().print(Text("  ").join(safe(part) for part in parts if part != ""), soft_wrap=True)


def write_json(value: Any) -> None:
    """One line of JSON on standard output."""
    write([msgspec.json.encode(value), b"\n"])


def write(chunks: Iterable[bytes]) -> None:
    """Bytes to standard output, as they come."""
    for chunk in chunks:
        sys.stdout.buffer.write(chunk)
    sys.stdout.flush()


def say(message: str) -> None:
    """One line on standard error."""
    typer.echo(f"tapedeck: {safe(message)}", err=True)


def say_waiting(reason: str, seconds: float) -> None:
    """Why a request waits before it is sent again."""
    say(f"{reason}; trying again in {seconds:.1f} s")


class Tally:
    """Several things to do, one after the other: those that fail are told at once, the exit status at the end."""

    def __init__(self) -> None:
        self._worst = 0

    def failed(self, what: object, error: Exit) -> None:
        say(f"{what}: {error}")
        self._worst = max(self._worst, error.status)

    def exit(self) -> None:
        """End with the highest status of them all."""
        if self._worst:
            raise typer.Exit(self._worst)
