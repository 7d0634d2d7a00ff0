"""`tapedeck projects`."""

from typing import Annotated, Any
from uuid import UUID

import typer

from app.commands import describe, terminal
from app.commands.database import Tenant, on_database
from app.commands.options import Json
from app.documents import timestamp
from app.exits import USAGE, Exit
from models import administration
from models.tenancy import Project

HELP = "Projects of a tenant: make and list them, say how long they keep recordings."

Name = Annotated[str, typer.Argument(help="What to call it.")]
ProjectId = Annotated[UUID, typer.Argument(metavar="ID", help="The project, as `projects list` shows it.")]
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
    terminal.print_table(("id", "name", "tenant", "keeps recordings", "created"), map(_cells, found))


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


def _document(project: Project) -> dict[str, Any]:
    return {
        "id": str(project.id),
        "tenant_id": str(project.tenant_id),
        "name": project.name,
        "retention_days": project.retention_days,
        "created_at": timestamp(project.created_at),
    }


def _cells(project: Project) -> tuple[object, ...]:
    created = describe.moment(timestamp(project.created_at))
    return project.id, project.name, project.tenant_id, _kept(project), created


def _kept(project: Project) -> str:
    return "for ever" if project.retention_days is None else f"{project.retention_days:g} days"


COMMANDS = {"create": create, "list": show, "retention": retention}
