"""`tapedeck import`: folders and archives of recordings become recordings, each once, however often it is interrupted."""

from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

import typer

from app import credentials
from app.client import Client, Refused, Unreachable
from app.commands import terminal
from app.commands.import_report import Report
from app.commands.options import ApiKey, Json, Url
from app.credentials import Credentials
from app.exits import Exit
from app.importing import find, journal
from app.importing.contents import Text, texts
from app.importing.find import File, Odd
from app.importing.journal import Journal
from app.importing.pipeline import Import, Options, Stopped
from settings import HomeSettings, load_home

PATIENCE_S = 300.0
JOBS = 4
MAX_MIB = 512
INTERRUPTED = 128 + 2  # as shells say SIGINT
FINISHING_S = 15.0  # how long uploads under way may take after Ctrl-C

Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="PATH…",
        help="Recordings, folders of them, archives of them: zip; tar, compressed with gzip, zstd, bzip2 or xz.",
    ),
]
Project = Annotated[UUID | None, typer.Option("--project", help="Default: the API key's project.")]
NameFrom = Annotated[
    Literal["file", "path"],
    typer.Option(
        "--name-from", help="Names of recordings that have none of their own: the file's, or its path."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only list what would be sent.")]
Jobs = Annotated[
    int, typer.Option("--jobs", "-j", min=1, max=64, help="Uploads at a time; each holds one file in memory.")
]
Limit = Annotated[int | None, typer.Option("--limit", min=0, help="Stop after so many new recordings.")]
MaxMib = Annotated[
    int, typer.Option("--max-mib", min=1, help="Refuse files that are larger when decompressed.")
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until all are ready or failed.")]
JournalFile = Annotated[
    Path | None,
    typer.Option(
        "--journal", metavar="FILE", help="What was sent. Default: imported.ndjson in TAPEDECK_HOME."
    ),
]
Again = Annotated[bool, typer.Option("--again", help="Make new recordings of what was sent before, too.")]
RetryFor = Annotated[
    float, typer.Option("--retry-for", metavar="SECONDS", min=0, help="How long a deck may be away or busy.")
]


def command(
    paths: Paths,
    project: Project = None,
    name_from: NameFrom = "file",
    dry_run: DryRun = False,
    jobs: Jobs = JOBS,
    limit: Limit = None,
    max_mib: MaxMib = MAX_MIB,
    wait: Wait = False,
    journal_file: JournalFile = None,
    again: Again = False,
    retry_for: RetryFor = PATIENCE_S,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Send many recordings: files, folders, archives.

    A file holds rrweb events: an array, one event a line, a body of this API, or what PostHog and Sentry wrap around them;
    several sessions in a file become several recordings. Hidden files are left out; other files that are no recordings
    are skipped and told.

    Run it again after an interruption: what the deck has is not sent twice. The journal says what that is, by content.

    With --json, each recording or skipped file is a line {"path", "outcome", …}, and the last one {"summary"}.
    """
    home = load_home()
    options = Options(
        project_id=project,
        again=again,
        limit=limit,
        max_bytes=max_mib << 20,
        name_of=lambda text: text.place if name_from == "path" else text.place.rpartition("/")[2],
    )
    report = Report(as_json=as_json, dry=dry_run, keep=wait, total=lambda: _total(paths))
    deck = _deck(home, url, api_key, needed=not dry_run)
    target = journal.target_of(deck.url, deck.api_key, project) if deck else ""

    def on_wait(reason: str, seconds: float) -> None:
        if importing.is_stopping:
            raise Stopped(reason)
        report.waiting(reason, seconds)

    with (
        Journal(journal_file or home.home / journal.FILE, target, dry=dry_run) as sent_before,
        Client(deck.url, deck.api_key, patience_s=retry_for, on_wait=on_wait)
        if deck
        else nullcontext() as client,
    ):
        importing = Import(
            None if dry_run else client, sent_before, options, 1 if dry_run else jobs, report.result
        )
        interrupted = False
        with report:
            try:
                importing.run(_found(paths, report))
                if wait and client and not importing.is_stopping:
                    _follow(client, report)
            except KeyboardInterrupt:
                interrupted = True
                _stop(importing)
        report.summary()
        if importing.stopped_by:
            report.failed("stopped", importing.stopped_by)
        if interrupted or importing.stopped_by:
            terminal.say(f"run it again to go on: {sent_before.path} says what was sent")
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    report.exit()


def _found(paths: list[Path], report: Report) -> Iterator[Text | Odd]:
    for file in report.reading(find.files(paths)):
        if isinstance(file, Odd):
            yield file
        else:
            yield from texts(file, report.read)


def _total(paths: list[Path]) -> tuple[int, int]:
    count = size = 0
    for file in find.files(paths):
        if isinstance(file, File):
            count, size = count + 1, size + file.size
    return count, size


def _deck(home: HomeSettings, url: str | None, api_key: str | None, *, needed: bool) -> Credentials | None:
    try:
        return credentials.find(home, url=url, api_key=api_key)
    except Exit:
        if needed:
            raise
        return None


def _follow(client: Client, report: Report) -> None:
    for recording_id in [*report.accepted]:
        try:
            *_, recording = client.follow(recording_id)
        except Refused as error:
            report.gone(recording_id, error)
        except Unreachable as error:
            report.failed("waiting", error)
            return
        else:
            report.status(recording)


def _stop(importing: Import) -> None:
    importing.stop()
    terminal.say("stopping when the uploads under way are through; Ctrl-C again leaves at once")
    with suppress(KeyboardInterrupt):
        importing.finish(FINISHING_S)
