"""`tapedeck logs`."""

import json
from collections.abc import Iterable
from typing import Any

from rich.table import Table

from app.commands import describe, terminal
from app.commands.options import ApiKey, Json, RecordingId, Url, connect


def command(
    recording_id: RecordingId, url: Url = None, api_key: ApiKey = None, as_json: Json = False
) -> None:
    """Show a recording's console and network logs, and the events that were rejected."""
    with connect(url, api_key) as client, client.logs(recording_id) as chunks:
        if as_json:
            terminal.write(chunks)
            terminal.write([b"\n"])
            return
        logs = json.loads(b"".join(chunks))  # which reads unpaired surrogates too
    console = terminal.stdout()
    for table in _console(logs["console"]), _network(logs["network"]), _rejected(logs["rejected"]):
        if table.row_count:
            console.print(table)
    if logs["client_info"]:
        console.print(terminal.safe(f"client: {_text(logs['client_info'])}"))


def _console(entries: Iterable[dict[str, Any]]) -> Table:
    table = terminal.table("console", "time", "message")
    for entry in entries:
        words = entry.get("args", entry.get("payload", ""))
        message = " ".join(map(_text, words)) if isinstance(words, list) else _text(words)
        table.add_row(
            *map(terminal.safe, (entry.get("level", ""), describe.clock(entry.get("timestamp")), message))
        )
    return table


def _network(entries: Iterable[dict[str, Any]]) -> Table:
    table = terminal.table("network", "time", "status", "duration", "url")
    for entry in entries:
        took = entry.get("duration")
        cells = (
            entry.get("method", ""),
            describe.clock(entry.get("timestamp")),
            entry.get("status", ""),
            f"{took:.0f} ms" if isinstance(took, int | float) else "",
            entry.get("url", ""),
        )
        table.add_row(*map(terminal.safe, cells))
    return table


def _rejected(entries: Iterable[dict[str, Any]]) -> Table:
    table = terminal.table("rejected", "reason", "event")
    for entry in entries:
        table.add_row(*map(terminal.safe, (entry["index"], entry["reason"], _text(entry["event"]))))
    return table


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
