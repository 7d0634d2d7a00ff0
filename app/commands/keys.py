"""`tapedeck keys`."""

from typing import Annotated, Any
from uuid import UUID

import typer

from app import describe
from app.commands import terminal
from app.commands.database import Tenant, on_database
from app.commands.options import Json
from app.documents import timestamp
from app.exits import Exit
from models import administration
from models.administration import Owned, Revoked
from models.db import Database
from models.tenancy import Scope

HELP = "API keys: make, list and revoke them."

Name = Annotated[str, typer.Argument(help="What the key is for.")]
OfUser = Annotated[str, typer.Option("--user", metavar="EMAIL", help="Whose key it is.")]
Project = Annotated[
    UUID | None,
    typer.Option("--project", metavar="ID", help="Where its recordings go. Default: the user's project."),
]
Scopes = Annotated[
    list[Scope], typer.Option("--scope", help="What it may do, as far as the user may. Repeat for several.")
]
Valid = Annotated[bool, typer.Option("--valid", help="Without the revoked ones.")]
KeyIds = Annotated[list[UUID], typer.Argument(metavar="ID…", help="The keys, as `keys list` shows them.")]


def create(
    name: Name,
    user: OfUser,
    project: Project = None,
    scopes: Scopes = [Scope.INGEST],  # noqa: B006 (nobody changes it)
    as_json: Json = False,
) -> None:
    """Make an API key. It is shown once, here.

    With --json: what `keys list` tells of it, and "key".
    """
    made = on_database(
        lambda db: administration.create_key(db, name=name, email=user, scopes=scopes, project_id=project)
    )
    if as_json:
        terminal.write_json(_document(made.owned) | {"key": made.secret})
        return
    key = made.owned.key
    terminal.print_pairs(
        [
            ("id", str(key.id)),
            ("name", key.name),
            ("scopes", ", ".join(key.scopes)),
            ("user", made.owned.email),
            ("project", f"{made.owned.project} ({key.project_id})"),
            ("key", made.secret),
        ]
    )
    terminal.say("keep the key: it is not shown again")


def show(tenant: Tenant = None, valid: Valid = False, as_json: Json = False) -> None:
    """List API keys by their first characters.

    With --json: {"keys": […]}.
    """
    found = on_database(lambda db: administration.keys(db, tenant, revoked=not valid))
    if as_json:
        terminal.write_json({"keys": [_document(owned) for owned in found]})
        return
    columns = ("id", "key", "name", "scopes", "user", "project", "created", "revoked")
    terminal.print_table(columns, map(_cells, found))


def revoke(key_ids: KeyIds, as_json: Json = False) -> None:
    """Revoke API keys: from now on they open nothing.

    Doing it again changes nothing. With --json: {"revoked": [{"id", "revoked_at"}, …]}.
    """
    tally, documents = terminal.Tally(), []
    for key_id, revoked in on_database(lambda db: _revoke(db, key_ids)):
        if revoked is None:
            tally.failed(key_id, Exit("there is no such key; see `tapedeck keys list`"))
            continue
        at = timestamp(revoked.at)
        documents.append({"id": str(key_id), "revoked_at": at})
        if not as_json:
            said = f"was revoked before, at {describe.moment(at)}" if revoked.before else "revoked"
            terminal.print_line(key_id, said)
    if as_json:
        terminal.write_json({"revoked": documents})
    tally.exit()


async def _revoke(db: Database, key_ids: list[UUID]) -> list[tuple[UUID, Revoked | None]]:
    return [(key_id, await administration.revoke_key(db, key_id)) for key_id in key_ids]


def _document(owned: Owned) -> dict[str, Any]:
    key = owned.key
    return {
        "id": str(key.id),
        "tenant_id": str(key.tenant_id),
        "project_id": str(key.project_id),
        "project": owned.project,
        "user_id": str(key.user_id),
        "user": owned.email,
        "name": key.name,
        "hint": key.hint,
        "scopes": key.scopes,
        "created_at": timestamp(key.created_at),
        "revoked_at": timestamp(key.revoked_at) if key.revoked_at else None,
    }


def _cells(owned: Owned) -> tuple[str, ...]:
    key = owned.key
    return (
        str(key.id),
        f"{key.hint}…",
        key.name,
        ",".join(key.scopes),
        owned.email,
        owned.project,
        describe.moment(timestamp(key.created_at)),
        describe.moment(timestamp(key.revoked_at)) if key.revoked_at else "",
    )


COMMANDS = {"create": create, "list": show, "revoke": revoke}
