"""`tapedeck send --follow`: a file that is still being written becomes an open recording, chunk by chunk."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from rich.console import Console
from rich.text import Text

from app import describe
from app.client import API, Client
from app.commands import sent, terminal
from app.event_lines import EventLines
from app.exits import USAGE, Exit
from app.growing import Growing, Stream, growing
from app.live_upload import LiveUpload
from app.stopping import Stop, stop_on_signals
from app.unwrapped import BadFile, NoRecording

PATIENCE_S = 3600.0
CHUNK_S = 1.0  # how long an event waits for others
CHUNK_BYTES = 1 << 20
CHUNK_EVENTS = 1000


class Following(NamedTuple):
    """What to follow, and how. `idle_s`: the writer is done when nothing came for so long; None: it says so itself."""

    file: str
    name: str | None
    project_id: UUID | None
    idle_s: float | None
    wait: bool
    as_json: bool


def follow(client: Client, what: Following, on_error: Callable[[Exit], None]) -> None:
    """Send all that is written until the writer is done. `on_error` hears what went wrong and did not end it.

    Raises Exit.
    """
    label, console = sent.label(what.file), terminal.stderr()
    default = None if what.file == sent.STDIN else Path(what.file).name.encode(errors="replace").decode()
    upload = LiveUpload(client, what.name or default, what.project_id, partial(_opened, client, what))
    lines = EventLines(lambda told: terminal.say(f"{label}: {told}"))
    with stop_on_signals(_say_finishing) as stop, _source(what.file, stop) as source:
        try:
            with console.status(Text(f"{label}: waiting for events")) as status:
                _send_all(source, lines, upload, what.idle_s, lambda: status.update(_progress(label, upload)))
        except BadFile as error:
            if not upload.ids:
                raise
            on_error(error)
        except BaseException:
            _say_what_is_there(label, upload)
            raise
        upload.finish()
    if not upload.ids:
        raise NoRecording("no events in it")
    terminal.say(f"{label}: {_counts(upload)} sent")
    if lines.left_out:
        on_error(Exit(f"{describe.plural(lines.left_out, 'line')} left out", USAGE))
    for recording_id in upload.ids:
        _outcome(client, console, what, recording_id, on_error)


def _send_all(
    source: Growing, lines: EventLines, upload: LiveUpload, idle_s: float | None, on_sent: Callable[[], None]
) -> None:
    """Raises BadFile after what came before was sent; Refused, Unreachable, OSError."""
    batch = _Batch(upload, on_sent)
    grown = time.monotonic()
    try:
        while (data := source.read(batch.left_s())) is not None:
            if data:
                grown = time.monotonic()
            elif idle_s is not None and time.monotonic() - grown >= idle_s:
                break
            for event in lines.feed(data):
                batch.add(event)
            if batch.is_due():
                batch.send()
        for event in lines.end():
            batch.add(event)
    except BadFile:
        batch.send()
        raise
    batch.send()


class _Batch:
    """Events that wait for others."""

    def __init__(self, upload: LiveUpload, on_sent: Callable[[], None]) -> None:
        self._upload, self._on_sent = upload, on_sent
        self._events: list[bytes] = []
        self._size = 0
        self._due = 0.0

    def add(self, event: bytes) -> None:
        if not self._events:
            self._due = time.monotonic() + CHUNK_S
        self._events.append(event)
        self._size += len(event)

    def left_s(self) -> float:
        """How long it may wait."""
        return max(0.0, self._due - time.monotonic()) if self._events else CHUNK_S

    def is_due(self) -> bool:
        is_full = self._size >= CHUNK_BYTES or len(self._events) >= CHUNK_EVENTS
        return is_full or (bool(self._events) and time.monotonic() >= self._due)

    def send(self) -> None:
        if self._events:
            self._upload.send(self._events)
            self._on_sent()
        self._events, self._size = [], 0


@contextmanager
def _source(file: str, stop: Stop) -> Iterator[Growing]:
    try:
        if file == sent.STDIN:
            yield Stream(sys.stdin.buffer, stop)
        else:
            with growing(Path(file), stop) as source:
                yield source
    except OSError as error:
        raise BadFile(error.strerror or str(error)) from None


def _opened(client: Client, what: Following, recording_id: UUID, goes_on: bool) -> None:
    if what.as_json:
        opened = {"id": str(recording_id), "status": "uploading"}
        terminal.write_json({"file": what.file, "replayed": False} | opened)
    else:
        goes = "goes on, since the deck closed that recording, in" if goes_on else "goes to"
        terminal.say(f"{sent.label(what.file)} {goes} {client.url}{API}/{recording_id}")


def _outcome(
    client: Client, console: Console, what: Following, recording_id: UUID, on_error: Callable[[Exit], None]
) -> None:
    try:
        if what.wait:
            with console.status(Text("processing")) as status:
                for recording in client.follow(recording_id):
                    status.update(Text(f"{recording['status']} {sent.label(what.file)}"))
        else:
            recording = client.recording(recording_id)
        sent.show(what.file, recording, False, what.as_json)
    except sent.Failed as error:
        on_error(error)
    except KeyboardInterrupt:
        terminal.say(sent.goes_on(sent.label(what.file), recording_id))
        raise


def _progress(label: str, upload: LiveUpload) -> Text:
    return Text(f"{label}: {_counts(upload)} sent; Ctrl-C ends the recording")


def _counts(upload: LiveUpload) -> str:
    return f"{describe.plural(upload.events, 'event')} in {describe.plural(upload.chunks, 'chunk')}"


def _say_what_is_there(label: str, upload: LiveUpload) -> None:
    if upload.ids:
        has = f"{upload.ids[-1]} has {_counts(upload)}, and is closed when nothing comes for some time"
        terminal.say(f"{label}: {has}")


def _say_finishing() -> None:
    terminal.say_in_between("sending what is there, then the recording ends; Ctrl-C again leaves at once")
