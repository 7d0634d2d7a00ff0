"""`tapedeck users`."""

import secrets
import sys
from typing import Annotated, Any, Literal
from uuid import UUID

import typer
from argon2 import PasswordHasher

from app import describe
from app.commands import terminal
from app.commands.database import Tenant, on_database
from app.commands.options import Json
from app.documents import timestamp
from app.exits import USAGE, Exit
from models import administration
from models.tenancy import Scope, User

HELP = "Users of a tenant: make, list and revoke them."
PASSWORD_CHARS = 12, 1024  # at least, at most
PASSWORD_BYTES = 15  # 20 characters when it is generated

Email = Annotated[str, typer.Argument(help="The user's email address; case does not matter.")]
OfProject = Annotated[
    UUID,
    typer.Option("--project", metavar="ID", help="Their default project; its tenant is theirs."),
]
Scopes = Annotated[
    list[Scope], typer.Option("--scope", help="What they and their keys may do. Repeat for several.")
]
Source = Annotated[
    Literal["ask", "stdin", "generate", "none"],
    typer.Option("--password", help="Where the password comes from; with none, nobody signs in as them."),
]


def create(
    email: Email,
    project: OfProject,
    scopes: Scopes = [Scope.INGEST, Scope.READ, Scope.MANAGE],  # noqa: B006 (nobody changes it)
    source: Source = "ask",
    as_json: Json = False,
) -> None:
    """Make a user. A password is never an argument, where others could see it; a generated one is shown once, here.

    With --json: what `users list` tells of them, and "password" when it was generated.
    """
    secret = _password(source)
    hashed = None if secret is None else PasswordHasher().hash(secret)
    user = on_database(
        lambda db: administration.create_user(
            db, email=email, project_id=project, scopes=scopes, password_hash=hashed
        )
    )
    generated = {"password": secret} if secret is not None and source == "generate" else {}
    if as_json:
        terminal.write_json(_document(user) | generated)
        return
    terminal.print_pairs(
        [
            ("id", str(user.id)),
            ("email", user.email),
            ("scopes", ", ".join(user.scopes)),
            ("project", str(user.default_project_id)),
            ("tenant", str(user.tenant_id)),
            *generated.items(),
        ]
    )
    if generated:
        terminal.say("keep the password: it is not shown again")


def show(tenant: Tenant = None, as_json: Json = False) -> None:
    """List users.

    With --json: {"users": […]}.
    """
    found = on_database(lambda db: administration.users(db, tenant))
    if as_json:
        terminal.write_json({"users": [_document(user) for user in found]})
        return
    columns = ("id", "email", "scopes", "password", "project", "tenant", "created")
    terminal.print_table(columns, map(_cells, found))


def revoke(email: Email, as_json: Json = False) -> None:
    """Take away a user's scopes and password, end their sessions, and revoke their keys.

    Doing it again changes nothing. With --json: {"email", "keys_revoked"}.
    """
    count = on_database(lambda db: administration.revoke_user(db, email))
    email = email.strip().lower()
    if as_json:
        terminal.write_json({"email": email, "keys_revoked": count or 0})
    elif count is None:
        terminal.print_line(email, "was revoked before")
    else:
        terminal.print_line(email, f"revoked, and {describe.plural(count, 'key')}")


def _password(source: str) -> str | None:
    if source == "none":
        return None
    if source == "generate":
        return secrets.token_urlsafe(PASSWORD_BYTES)
    if source == "ask" and not sys.stdin.isatty():
        raise Exit("password: there is nobody to ask: use --password stdin, generate or none", USAGE)
    if source == "ask":
        given = str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    else:
        given = sys.stdin.readline().rstrip("\r\n")
    least, most = PASSWORD_CHARS
    if not least <= len(given) <= most or not given.isprintable():
        raise Exit(f"password: must be {least} to {most} printable characters", USAGE)
    return given


def _document(user: User) -> dict[str, Any]:
    return {
        "id": str(user.id),
        "tenant_id": str(user.tenant_id),
        "default_project_id": str(user.default_project_id),
        "email": user.email,
        "scopes": user.scopes,
        "has_password": user.password_hash is not None,
        "created_at": timestamp(user.created_at),
    }


def _cells(user: User) -> tuple[object, ...]:
    return (
        user.id,
        user.email,
        ",".join(user.scopes),
        "none" if user.password_hash is None else "set",
        user.default_project_id,
        user.tenant_id,
        describe.moment(timestamp(user.created_at)),
    )


COMMANDS = {"create": create, "list": show, "revoke": revoke}
