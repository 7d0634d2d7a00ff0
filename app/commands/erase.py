"""`tapedeck erase`."""

import time
from collections.abc import Iterator
from typing import Annotated, Any
from uuid import UUID

import typer

from app import describe
from app.client import Client
from app.commands import terminal
from app.commands.options import ApiKey, Json, Url, Yes, connect
from app.exits import USAGE, Exit

POLL_S = 1.0

Session = Annotated[str | None, typer.Option("--session", help="Everything of this session id.")]
Fingerprint = Annotated[str | None, typer.Option("--fingerprint", help="Everything of this fingerprint.")]
User = Annotated[UUID | None, typer.Option("--user", metavar="ID", help="Everything that this user sent.")]
Project = Annotated[UUID | None, typer.Option("--project", metavar="ID", help="Everything of this project.")]
Tenant = Annotated[
    UUID | None, typer.Option("--tenant", metavar="ID", help="Everything of this tenant, the key's own.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would be erased.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Until it is done, and print its certificate.")]
Show = Annotated[
    UUID | None,
    typer.Option("--show", metavar="ID", help="Erase nothing: follow that erasure, or see it again."),
]


def command(
    session: Session = None,
    fingerprint: Fingerprint = None,
    user: User = None,
    project: Project = None,
    tenant: Tenant = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    wait: Wait = True,
    show: Show = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Erase everything of somebody: what was accepted so far goes, is looked for everywhere, and certified.

    The deck goes on by itself, also when this command is interrupted. With --json: the erasure as the API gives it,
    with all recordings in its certificate.
    """
    given = {
        "session_id": session,
        "fingerprint": fingerprint,
        "user_id": user,
        "project_id": project,
        "tenant_id": tenant,
    }
    subject = {name: str(value) for name, value in given.items() if value is not None}
    if len(subject) + (show is not None) != 1:
        raise Exit("give one of --session, --fingerprint, --user, --project, --tenant, --show", USAGE)
    with connect(url, api_key) as client:
        if show is None:
            seen = client.erase(subject, dry_run=True) if dry_run or not yes else {}
            if dry_run:
                terminal.write_json(seen) if as_json else terminal.print_line(_previewed(seen))
                return
            if not yes:
                terminal.confirm(f"Erase {_previewed(seen)}?", otherwise="nothing was erased")
            erasure = client.erase(subject)
            terminal.say(f"erasure {erasure['id']}; `tapedeck erase --show` follows it")
        else:
            erasure = client.erasure(show)
        if wait:
            erasure = _followed(client, erasure)
        if certificate := erasure["certificate"]:
            certificate["recordings"] = list(_all_of(client, erasure))
            certificate["next_cursor"] = None
    if as_json:
        terminal.write_json(erasure)
    else:
        _print(erasure)
    if certificate and not certificate["tallies"]["unchanged"]:
        raise Exit("the tallies lack some of what was erased: tell the operators")


def _followed(client: Client, erasure: dict[str, Any]) -> dict[str, Any]:
    with terminal.stderr().status("erasing") as status:
        while erasure["state"] != "done":
            time.sleep(POLL_S)
            erasure = client.erasure(UUID(erasure["id"]))
            status.update(f"{erasure['erased']} of {erasure['found'] - erasure['held']} erased")
    return erasure


def _all_of(client: Client, erasure: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What all pages of a certificate list. Reads the others from the deck."""
    page = erasure["certificate"]
    yield from page["recordings"]
    while cursor := page["next_cursor"]:
        page = client.erasure(UUID(erasure["id"]), cursor)["certificate"]
        yield from page["recordings"]


def _previewed(seen: dict[str, Any]) -> str:
    what = f"{describe.plural(seen['recordings'], 'recording')} ({describe.size(seen['bytes'])})"
    return f"{what}, but not {seen['on_hold']} on hold" if seen["on_hold"] else what


def _print(erasure: dict[str, Any]) -> None:
    terminal.print_pairs(_pairs(erasure))
    if certificate := erasure["certificate"]:
        columns = ("id", "accepted", "deleted", "purged", "objects", "verified absent")
        terminal.print_table(columns, map(_cells, certificate["recordings"]))


def _pairs(erasure: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "erasure", erasure["id"]
    yield "subject", f"{erasure['subject']['kind']} {erasure['subject']['value']}"
    yield "state", erasure["state"]
    yield "requested", describe.moment(erasure["requested_at"])
    yield "finished", describe.moment(erasure["finished_at"])
    yield "recordings", f"{erasure['found']} found, {erasure['erased']} erased, {erasure['held']} on hold"
    for recording_id in erasure["on_hold"]:
        yield "on hold", recording_id
    if certificate := erasure["certificate"]:
        yield (
            "verified",
            f"{describe.moment(certificate['verified_at'])}: absent from storage and from the tables",
        )
        yield "", ", ".join(certificate["tables"])
        tallies = certificate["tallies"]
        yield "tallies", "; ".join(f"{when} {_account(tallies[when])}" for when in ("before", "after"))


def _account(account: dict[str, Any]) -> str:
    return f"{describe.plural(account['recordings'], 'recording')}, {account['purged']} purged"


def _cells(one: dict[str, Any]) -> tuple[str, ...]:
    moments = {name: describe.moment(one[name]) for name in one if name.endswith("_at")}
    return (
        one["id"],
        moments["accepted_at"],
        moments["deleted_at"],
        moments["purged_at"],
        str(one["objects"]),
        moments["verified_at"],
    )
