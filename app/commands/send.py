"""`tapedeck send`: recording files become recordings."""

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, BinaryIO
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.text import Text

from app import recording_file
from app.client import Client, Created, Refused
from app.commands import send_follow, sent, terminal
from app.commands.options import ApiKey, Json, Url, connect
from app.commands.send_follow import Following
from app.commands.sent import STDIN, Failed, label, show
from app.exits import USAGE, Exit
from app.recording_file import Upload
from app.wrappers import BadFile

PATIENCE_S = 60.0

Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE…", help="Recordings: JSON or JSON lines, .gz and .zst too; - is standard input."
    ),
]
Name = Annotated[str | None, typer.Option("--name", help="Name of the recording. Default: the file's name.")]
Project = Annotated[UUID | None, typer.Option("--project", help="Default: the API key's project.")]
Video = Annotated[
    Path | None,
    typer.Option("--video", metavar="VIDEO", help="WebM or MP4 of the same session, for one FILE."),
]
Again = Annotated[
    bool, typer.Option("--again", help="Make a new recording even if this file was sent before.")
]
Follow = Annotated[
    bool,
    typer.Option("--follow", help="Send one FILE, an rrweb event a line, while it is being written."),
]
Idle = Annotated[
    float | None,
    typer.Option(
        "--idle", metavar="SECONDS", min=0, help="With --follow: the end, when nothing came for so long."
    ),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait until it is ready.")]
RetryFor = Annotated[
    float | None,
    typer.Option(
        "--retry-for",
        metavar="SECONDS",
        min=0,
        help=f"How long a deck may be away or busy. Default: {PATIENCE_S:.0f}, with --follow {send_follow.PATIENCE_S:.0f}.",
    ),
]


def command(
    files: Files,
    name: Name = None,
    project: Project = None,
    video: Video = None,
    again: Again = False,
    follow: Follow = False,
    idle: Idle = None,
    no_wait: NoWait = False,
    retry_for: RetryFor = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Send recordings and follow each until it is ready or failed.

    A file holds rrweb events: an array, one event a line, a body of this API, or what PostHog and Sentry wrap around them.

    Sending the same file again within a day, with the same video if there is one, changes nothing: it shows the
    recording that the first time made, and goes on with its video where that is still awaited.

    --follow makes a new recording, which can be watched as it grows. It ends with Ctrl-C, with the end of standard
    input, when FILE is removed, or with --idle.

    With --json, each file is a line: its "file" and the recording, or {"file", "error": {"code", "message"}}; with
    --follow, there is one more when the recording is opened.
    """
    _check(files, video, follow, idle)
    tally = terminal.Tally()

    def failed(file: str, error: Exit) -> None:
        tally.failed(label(file), error)
        if as_json and not isinstance(error, Failed):
            told = {"code": getattr(error, "code", "usage"), "message": str(error)}
            terminal.write_json({"file": file, "error": told})

    digest = _digest(video) if video else None
    patience_s = send_follow.PATIENCE_S if follow else PATIENCE_S
    with connect(url, api_key, patience_s if retry_for is None else retry_for) as client:
        for file in files:
            try:
                if follow:
                    what = Following(file, name, project, idle, wait=not no_wait, as_json=as_json)
                    send_follow.follow(client, what, partial(failed, file))
                else:
                    upload = _read(file, name, project, again, digest)
                    recording, replayed = _send(client, upload, video, label(file), wait=not no_wait)
                    show(file, recording, replayed, as_json)
            except Exit as error:
                failed(file, error)
    tally.exit()


def _check(files: list[str], video: Path | None, follow: bool, idle: float | None) -> None:
    """Raises Exit."""
    if (video or follow) and len(files) > 1:
        raise Exit(f"{'--follow takes' if follow else '--video belongs to'} one FILE", USAGE)
    if video and follow:
        raise Exit("--follow takes no --video", USAGE)
    if idle is not None and not follow:
        raise Exit("--idle goes with --follow", USAGE)


def _read(file: str, name: str | None, project_id: UUID | None, again: bool, video: bytes | None) -> Upload:
    with _opened(file) as (source, made_at):
        default = None if file == STDIN else Path(file).name.encode(errors="replace").decode()
        return recording_file.read(
            source,
            name=default,
            made_at=made_at,
            title=name,
            project_id=project_id,
            again=again,
            video=video,
        )


@contextmanager
def _opened(file: str) -> Iterator[tuple[BinaryIO, datetime]]:
    try:
        if file == STDIN:
            yield sys.stdin.buffer, datetime.now(UTC)
        else:
            with Path(file).open("rb") as source:
                yield source, datetime.fromtimestamp(Path(file).stat().st_mtime, UTC)
    except OSError as error:
        raise BadFile(error.strerror or str(error)) from None


def _send(
    client: Client, upload: Upload, video: Path | None, name: str, *, wait: bool
) -> tuple[dict[str, Any], bool]:
    console = terminal.stderr()
    with _opened_video(video) as (file, size), _progress(console) as progress:
        bar = progress.add_task(f"sending {name}", total=len(upload.body))
        created = client.create(upload, lambda count: progress.update(bar, completed=count))
        if file and created.video_upload_url:
            bar = progress.add_task(f"sending {video}", total=size)
            _send_video(client, created, file, size, lambda count: progress.update(bar, completed=count))
    if not wait:
        return {"id": str(created.id), "status": created.status}, created.replayed
    try:
        with console.status(Text(f"{created.status} {name}")) as status:
            for recording in client.follow(created.id):
                status.update(Text(f"{recording['status']} {name}"))
    except Refused as error:
        if created.replayed and error.code == "not_found":
            gone = (
                "was sent before, but that recording is deleted or not for this key; --again makes a new one"
            )
            raise Refused(error.code, gone) from None
        raise
    except KeyboardInterrupt:
        terminal.say(sent.goes_on(name, created.id))
        raise
    return recording, created.replayed


def _send_video(
    client: Client, created: Created, file: BinaryIO, size: int, progress: Callable[[int], None]
) -> None:
    """PUT it and say so; a URL that is refused may have expired, so once more to a fresh one."""
    try:
        client.put_video(created.video_upload_url or "", file, size, progress)
    except Refused:
        client.put_video(client.video_upload_url(created.id), file, size, progress)
    client.confirm_video(created.id)


def _digest(video: Path) -> bytes:
    try:
        with video.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise BadFile(f"{video}: {error.strerror or error}") from None


@contextmanager
def _opened_video(path: Path | None) -> Iterator[tuple[BinaryIO | None, int]]:
    """The video and its size in bytes, before anything is sent. Raises BadFile."""
    if path is None:
        yield None, 0
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror or error}") from None
    with file:
        yield file, path.stat().st_size


def _progress(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
