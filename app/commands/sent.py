"""What `tapedeck send` says of the recordings that it made."""

from typing import Any

from app import describe
from app.commands import terminal
from app.exits import REFUSED, Exit

STDIN = "-"


class Failed(Exit):
    """The recording was accepted, but it failed."""

    status = REFUSED

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


def label(file: str) -> str:
    """What people call it."""
    return "standard input" if file == STDIN else file


def show(file: str, recording: dict[str, Any], replayed: bool, as_json: bool) -> None:
    """What became of it. Raises Failed."""
    if as_json:
        terminal.write_json({"file": file, "replayed": replayed} | recording)
    else:
        again = "sent before" if replayed else ""
        facts = describe.facts(recording)
        terminal.print_line(label(file), recording["id"], recording["status"], facts, again)
        for warning in recording.get("warnings") or ():
            terminal.print_line(f"  warning: {warning['message']}")
    if failure := recording.get("failure"):
        raise Failed(str(failure["code"]), str(failure["message"]))


def goes_on(what: str, recording_id: object) -> str:
    """For somebody who does not wait for it."""
    return f"{what} is accepted and goes on without you: tapedeck show --wait {recording_id}"
