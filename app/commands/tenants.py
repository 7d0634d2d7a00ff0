"""`tapedeck tenants`."""

from typing import Annotated, Any

import typer

from app import describe
from app.commands import terminal
from app.commands.database import on_database
from app.commands.options import Json
from app.documents import timestamp
from models import administration
from models.tenancy import Tenant

HELP = "Tenants: make and list them."

Name = Annotated[str, typer.Argument(help="What to call it.")]


def create(name: Name, as_json: Json = False) -> None:
    """Make a tenant: nothing of one tenant is ever visible to another.

    With --json: what `tenants list` tells of it.
    """
    tenant = on_database(lambda db: administration.create_tenant(db, name))
    if as_json:
        terminal.write_json(_document(tenant))
    else:
        terminal.print_line(tenant.id, tenant.name)


def show(as_json: Json = False) -> None:
    """List tenants.

    With --json: {"tenants": […]}.
    """
    found = on_database(administration.tenants)
    if as_json:
        terminal.write_json({"tenants": [_document(tenant) for tenant in found]})
        return
    rows = ((tenant.id, tenant.name, describe.moment(timestamp(tenant.created_at))) for tenant in found)
    terminal.print_table(("id", "name", "created"), rows)


def _document(tenant: Tenant) -> dict[str, Any]:
    return {"id": str(tenant.id), "name": tenant.name, "created_at": timestamp(tenant.created_at)}


COMMANDS = {"create": create, "list": show}
