"""`tapedeck mask`."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from app import describe
from app.client import Client, Refused
from app.commands import terminal
from app.commands.options import ApiKey, Json, Url, Yes, connect, read_rules
from app.exits import USAGE, Exit
from replay.privacy import Rules

PLACES_SHOWN = 10
TELL_EVERY = 100

Ids = Annotated[list[UUID] | None, typer.Argument(metavar="[ID…]", help="The recordings.")]
Project = Annotated[UUID | None, typer.Option("--project", metavar="ID", help="All of this project's.")]
RulesFile = Annotated[
    Path | None,
    typer.Option(
        "--rules", metavar="FILE", help="Mask what these rules name, too (JSON; see docs/privacy.md)."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would be masked, and where.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it is done.")]


def command(
    recording_ids: Ids = None,
    project: Project = None,
    rules: RulesFile = None,
    dry_run: DryRun = False,
    wait: Wait = False,
    yes: Yes = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Mask recordings that are there already, by their project's policy as it is now and by more rules. For good.

    With --json, each recording is a line: its "id", and "masked" (counts by rule) with --wait or --dry-run; then "places", too.
    """
    if bool(recording_ids) == bool(project):
        raise Exit("name recordings, or a project with --project", USAGE)
    wanted = read_rules(rules) if rules else Rules()
    if not (yes or dry_run):
        which = (
            f"all recordings of project {project}"
            if project
            else describe.plural(len(recording_ids or ()), "recording")
        )
        terminal.confirm(f"Mask {which} for good?", otherwise="nothing was masked")
    tally = terminal.Tally()
    with connect(url, api_key) as client:
        found = _of_project(client, project) if project else recording_ids or ()
        if dry_run:
            _each(found, tally, lambda id_: _try(client, id_, wanted, as_json))
        else:
            asked = _each(found, tally, lambda id_: _ask(client, id_, wanted, tell=not wait, as_json=as_json))
            _each(asked if wait else (), tally, lambda id_: _wait(client, id_, as_json))
    tally.exit()


def _of_project(client: Client, project: UUID) -> Iterator[UUID]:
    count = 0
    for count, recording in enumerate(client.recordings({"project_id": str(project)}), 1):
        yield UUID(recording["id"])
        if count % TELL_EVERY == 0:
            terminal.say(f"{count} recordings so far")
    if count == 0:
        terminal.say(f"there are no recordings of project {project}")


def _each(ids: Iterable[UUID], tally: terminal.Tally, step: Callable[[UUID], None]) -> list[UUID]:
    """Take the step for each; returns those for which it went well, the others are told."""
    done = []
    for id_ in ids:
        try:
            step(id_)
        except Refused as error:
            tally.failed(id_, error)
        else:
            done.append(id_)
    return done


def _ask(client: Client, id_: UUID, rules: Rules, *, tell: bool, as_json: bool) -> None:
    client.mask(id_, rules)
    if tell:
        _tell({"id": str(id_)}, "will be masked", as_json)


def _wait(client: Client, id_: UUID, as_json: bool) -> None:
    if client.until_masked(id_) == "failed":
        raise Refused("mask_failed", "the workers' logs say why; asking again tries again")
    masked = client.recording(id_)["masked"]
    _tell({"id": str(id_), "masked": masked}, f"masked: {describe.counts(masked)}", as_json)


def _try(client: Client, id_: UUID, rules: Rules, as_json: bool) -> None:
    answer = client.try_mask(id_, rules)
    masked, places = answer["masked"], answer["places"]
    document = {"id": str(id_), "masked": masked, "places": places}
    _tell(document, f"would mask {describe.counts(masked)}", as_json)
    if as_json:
        return
    for place in places[:PLACES_SHOWN]:
        terminal.print_line(f"  {place['where']}", place["rule"])
    if (more := sum(masked.values()) - len(places[:PLACES_SHOWN])) > 0:
        terminal.print_line(f"  … and {more} more")


def _tell(document: dict[str, Any], line: str, as_json: bool) -> None:
    if as_json:
        terminal.write_json(document)
    else:
        terminal.print_line(document["id"], line)
