"""`tapedeck projects`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import msgspec
import typer

from app import describe
from app.commands import terminal
from app.commands.database import Tenant, on_database
from app.commands.options import Json, read_rules
from app.documents import timestamp
from app.exits import USAGE, Exit
from models import administration
from models.tenancy import Project
from replay.privacy import IpAddresses, Masking, Rules

HELP = "Projects of a tenant: make and list them, say what is masked of their recordings, whether these become rows, and how long they are kept."
NO_RULES = "none"


class Switch(StrEnum):
    """Whether or not."""

    ON = "on"
    OFF = "off"


Name = Annotated[str, typer.Argument(help="What to call it.")]
ProjectId = Annotated[UUID, typer.Argument(metavar="PROJECT", help="Its id.")]
MaskingPolicy = Annotated[
    Masking | None,
    typer.Option("--masking", help="strict: all text and input values, too. off: only what the rules name."),
]
RulesFile = Annotated[
    str | None,
    typer.Option("--rules", metavar=f"FILE|{NO_RULES}", help="Rules of its own (JSON; see docs/privacy.md)."),
]
Ip = Annotated[IpAddresses | None, typer.Option("--ip", help="What is kept of addresses in client_info.")]
OnOff = Annotated[Switch, typer.Argument(metavar="on|off", help="Whether all recordings get rows.")]
Days = Annotated[
    str, typer.Argument(metavar="DAYS|none", help="How long, from when a recording was accepted.")
]
OfTenant = Annotated[UUID, typer.Option("--tenant", metavar="ID", help="Whose project it is.")]


def create(name: Name, tenant: OfTenant, as_json: Json = False) -> None:
    """Make a project: a site or an application of a tenant.

    With --json: what `projects list` tells of it.
    """
    project = on_database(lambda db: administration.create_project(db, tenant, name))
    if as_json:
        terminal.write_json(_document(project))
    else:
        terminal.print_line(project.id, project.name)


def show(tenant: Tenant = None, as_json: Json = False) -> None:
    """List projects.

    With --json: {"projects": […]}.
    """
    found = on_database(lambda db: administration.projects(db, tenant))
    if as_json:
        terminal.write_json({"projects": [_document(project) for project in found]})
        return
    heads = ("id", "name", "tenant", "masking", "rules", "ip", "rows of", "keeps recordings", "created")
    terminal.print_table(heads, map(_cells, found))


def retention(project_id: ProjectId, days: Days, as_json: Json = False) -> None:
    """Say how many days a project keeps its recordings: older ones are deleted, from the dispatcher's next sweep on.

    With --json: what `projects list` tells of it.
    """
    try:
        kept = None if days == "none" else float(days)
    except ValueError:
        raise Exit("DAYS: must be a number, or none", USAGE) from None
    project = on_database(lambda db: administration.set_retention(db, project_id, kept))
    if as_json:
        terminal.write_json(_document(project))
    else:
        terminal.print_line(project.id, project.name, f"keeps recordings {_kept(project)}")


def relational(project_id: ProjectId, wanted: OnOff, as_json: Json = False) -> None:
    """Say whether the events of a project's recordings become rows in the database, from now on.

    Those of replays always do. What is stored already stays as it is: see `tapedeck relate`. With --json: what
    `projects list` tells of it.
    """
    project = on_database(lambda db: administration.set_relational(db, project_id, wanted is Switch.ON))
    if as_json:
        terminal.write_json(_document(project))
    else:
        terminal.print_line(project.id, project.name, f"rows of {_rows_of(project)}")


def privacy(
    project: ProjectId,
    masking: MaskingPolicy = None,
    rules: RulesFile = None,
    ip: Ip = None,
    as_json: Json = False,
) -> None:
    """Show or change what is masked of a project's recordings before they are stored.

    What is stored already stays as it is: see `tapedeck mask`. With --json: what `projects list` tells of it.
    """
    given = None if rules is None else Rules() if rules == NO_RULES else read_rules(Path(rules))
    if masking is None and given is None and ip is None:
        found = on_database(lambda db: administration.project(db, project))
    else:
        found = on_database(
            lambda db: administration.set_privacy(db, project, masking=masking, rules=given, ip_addresses=ip)
        )
    if as_json:
        terminal.write_json(_document(found))
        return
    terminal.print_pairs(
        [
            ("masking", found.masking),
            ("rules", msgspec.json.encode(found.mask_rules).decode() if found.mask_rules else NO_RULES),
            ("ip", found.ip_addresses),
        ]
    )


def _document(project: Project) -> dict[str, Any]:
    return {
        "id": str(project.id),
        "tenant_id": str(project.tenant_id),
        "name": project.name,
        "retention_days": project.retention_days,
        "masking": project.masking,
        "mask_rules": project.mask_rules,
        "ip_addresses": project.ip_addresses,
        "relational": project.relational,
        "created_at": timestamp(project.created_at),
    }


def _cells(project: Project) -> tuple[object, ...]:
    rules = sum(map(len, project.mask_rules.values()))
    policy = project.masking, rules, project.ip_addresses
    created = describe.moment(timestamp(project.created_at))
    return project.id, project.name, project.tenant_id, *policy, _rows_of(project), _kept(project), created


def _rows_of(project: Project) -> str:
    return "all recordings" if project.relational else "replays"


def _kept(project: Project) -> str:
    return "for ever" if project.retention_days is None else f"{project.retention_days:g} days"


COMMANDS = {
    "create": create,
    "list": show,
    "privacy": privacy,
    "relational": relational,
    "retention": retention,
}
