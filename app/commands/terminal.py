"""What the commands write: results to standard output, the rest to standard error.

Names, URLs and messages come from recordings, which strangers made: nothing of them may steer the terminal.
"""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.exits import USAGE, Exit

ANY_WIDTH = 1 << 20  # columns: nothing is cut short; a narrow terminal wraps


def stderr() -> Console:
    """The console that progress goes to."""
    return Console(stderr=True, highlight=False)


def safe(value: object) -> Text:
    """Text without control characters and markup."""
    return Text("".join(c if c.isprintable() else "\ufffd" for c in str(value)))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows under headings on standard output; nothing for no rows."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(safe(cell) for cell in row))
    if table.row_count:
        _print(table)


def print_rows(
    found: Iterable[Any], as_json: bool, columns: Sequence[str], cells: Callable[[Any], Sequence[object]]
) -> None:
    """What was found, one a line: as JSON, or under headings."""
    if as_json:
        for one in found:
            write_json(one)
    else:
        print_table(columns, map(cells, found))


def print_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """Labels and texts beside each other."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    for label, text in pairs:
        grid.add_row(safe(label), safe(text))
    _print(grid)


def print_line(*parts: object) -> None:
    """One line on standard output."""
    sys.stdout.write("  ".join(str(safe(part)) for part in parts if part != "") + "\n")
    sys.stdout.flush()


def _print(table: Table) -> None:
    console = Console(highlight=False, width=ANY_WIDTH)
    with console.capture() as captured:
        console.print(table)
    sys.stdout.writelines(line.rstrip() + "\n" for line in captured.get().splitlines())
    sys.stdout.flush()


def confirm(question: str, *, otherwise: str) -> None:
    """Ask the person at the terminal. Raises Exit, which says `otherwise`, unless they agree, or when nobody is there."""
    if not sys.stdin.isatty():
        raise Exit("there is nobody to ask: use --yes", USAGE)
    if not typer.confirm(question, err=True):
        raise Exit(otherwise)


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


def say_in_between(message: str) -> None:
    """The same from a signal handler, which may have interrupted the writing of another line: around all buffers."""
    with suppress(OSError):
        os.write(2, f"tapedeck: {safe(message)}\n".encode())


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
