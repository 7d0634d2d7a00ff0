"""`tapedeck logs`."""

import json
from typing import Any

from app import describe
from app.commands import terminal
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
    terminal.print_table(("console", "time", "message"), map(_console, logs["console"]))
    terminal.print_table(("network", "time", "status", "duration", "url"), map(_network, logs["network"]))
    terminal.print_table(("rejected", "reason", "event"), map(_rejected, logs["rejected"]))
    if logs["client_info"]:
        terminal.print_line("client", _text(logs["client_info"]))
    if not any(logs.values()):
        terminal.say("no logs came beside the events, and no event was rejected")


def _console(entry: dict[str, Any]) -> tuple[object, ...]:
    words = entry.get("args", entry.get("payload", ""))
    message = " ".join(map(_text, words)) if isinstance(words, list) else _text(words)
    return entry.get("level", ""), describe.clock(entry.get("timestamp")), message


def _network(entry: dict[str, Any]) -> tuple[object, ...]:
    took = entry.get("duration")
    return (
        entry.get("method", ""),
        describe.clock(entry.get("timestamp")),
        entry.get("status", ""),
        f"{took:.0f} ms" if isinstance(took, int | float) else "",
        entry.get("url", ""),
    )


def _rejected(entry: dict[str, Any]) -> tuple[object, ...]:
    return entry["index"], entry["reason"], _text(entry["event"])


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
