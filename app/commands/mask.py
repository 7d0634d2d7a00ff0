"""`tapedeck mask`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from app.client import Client, Refused
from app.commands import describe, terminal
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
    with connect(url, api_key) as client:
        found = _of_project(client, project) if project else iter(recording_ids or ())
        run = _Run(client, wanted, as_json)
        asked = [id_ for id_ in found if (run.try_one(id_) if dry_run else run.ask(id_, tell=not wait))]
        if wait and not dry_run:
            for id_ in asked:
                run.wait(id_)
    run.tally.exit()


def _of_project(client: Client, project: UUID) -> Iterator[UUID]:
    count = 0
    for count, recording in enumerate(client.recordings({"project_id": str(project)}), 1):
        yield UUID(recording["id"])
        if count % TELL_EVERY == 0:
            terminal.say(f"{count} recordings so far")
    if count == 0:
        terminal.say(f"there are no recordings of project {project}")


class _Run:
    """What is done to each recording, and told of it. Each step returns whether it went well."""

    def __init__(self, client: Client, rules: Rules, as_json: bool) -> None:
        self.tally = terminal.Tally()
        self._client = client
        self._rules = rules
        self._as_json = as_json

    def try_one(self, id_: UUID) -> bool:
        try:
            answer = self._client.try_mask(id_, self._rules)
        except Refused as error:
            self.tally.failed(id_, error)
            return False
        masked, places = answer["masked"], answer["places"]
        self._tell(
            {"id": str(id_), "masked": masked, "places": places}, f"would mask {describe.counts(masked)}"
        )
        if not self._as_json:
            for place in places[:PLACES_SHOWN]:
                terminal.print_line(f"  {place['where']}", place["rule"])
            if (more := sum(masked.values()) - len(places[:PLACES_SHOWN])) > 0:
                terminal.print_line(f"  … and {more} more")
        return True

    def ask(self, id_: UUID, *, tell: bool) -> bool:
        try:
            self._client.mask(id_, self._rules)
        except Refused as error:
            self.tally.failed(id_, error)
            return False
        if tell:
            self._tell({"id": str(id_)}, "will be masked")
        return True

    def wait(self, id_: UUID) -> None:
        try:
            if self._client.until_masked(id_) == "failed":
                raise Refused("mask_failed", "the workers' logs say why; asking again tries again")
            masked = self._client.recording(id_)["masked"]
        except Refused as error:
            self.tally.failed(id_, error)
            return
        self._tell({"id": str(id_), "masked": masked}, f"masked: {describe.counts(masked)}")

    def _tell(self, document: dict[str, Any], line: str) -> None:
        if self._as_json:
            terminal.write_json(document)
        else:
            terminal.print_line(document["id"], line)
