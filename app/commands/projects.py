"""`tapedeck projects`."""

from typing import Annotated, Any
from uuid import UUID

import typer

from app.commands import describe, terminal
from app.commands.database import Tenant, on_database
from app.commands.options import Json
from app.documents import timestamp
from models import administration
from models.tenancy import Project

HELP = "Projects of a tenant: make and list them."

Name = Annotated[str, typer.Argument(help="What to call it.")]
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
    terminal.print_table(("id", "name", "tenant", "created"), map(_cells, found))


def _document(project: Project) -> dict[str, Any]:
    return {
        "id": str(project.id),
        "tenant_id": str(project.tenant_id),
        "name": project.name,
        "created_at": timestamp(project.created_at),
    }


def _cells(project: Project) -> tuple[object, ...]:
    return project.id, project.name, project.tenant_id, describe.moment(timestamp(project.created_at))


COMMANDS = {"create": create, "list": show}
