"""`tapedeck ops tenants` and `tapedeck ops tenant`: who asks how much of the deck, and whose work waits."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal
from uuid import UUID

import typer

from app import describe
from app.commands import terminal
from app.commands.ops_options import All, Limit, OpsKey, connect_ops
from app.commands.options import Json, Url

TenantId = Annotated[UUID, typer.Argument(metavar="ID", help="The tenant.")]
Named = Annotated[str | None, typer.Argument(metavar="[NAME]", help="Part of their name, or their id.")]
Sort = Annotated[
    Literal["name", "backlog"],
    typer.Option("--sort", help="backlog: those whose work waits, the longest first; one page."),
]
PAGE_MAX = 100


def tenants(
    named: Named = None,
    sort: Sort = "name",
    limit: Limit = 25,
    everything: All = False,
    url: Url = None,
    api_key: OpsKey = None,
    as_json: Json = False,
) -> None:
    """List tenants: what they send, what of it waits, runs and failed. With --json: a line each."""
    asked = {"sort": sort} | ({"q": named} if named else {})
    most = None if everything else limit
    if sort == "backlog":
        most = PAGE_MAX if most is None else min(most, PAGE_MAX)
    with connect_ops(url, api_key) as client:
        found = client.pages("/tenants", "tenants", asked, most)
        columns = ("id", "name", "today", "30 days", "failed", "pending", "due", "running", "dead", "oldest")
        terminal.print_rows(found, as_json, columns, _tenant_cells)


def tenant(tenant_id: TenantId, url: Url = None, api_key: OpsKey = None, as_json: Json = False) -> None:
    """A tenant by queue, by status and by project, and its limits."""
    with connect_ops(url, api_key) as client:
        read = client.get(f"/tenants/{tenant_id}")
    if as_json:
        terminal.write_json(read)
        return
    terminal.print_pairs(_pairs(read))
    terminal.print_table(
        ("queue", "due", "running", "dead", "oldest", "at once"), map(_queue_cells, read["queues"])
    )
    terminal.print_table(
        ("project", "name", "created", "masking", "rows", "kept"), map(_project_cells, read["projects"])
    )
    if read["more_projects"]:
        terminal.print_line("and more projects")


def _pairs(read: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "tenant", read["id"]
    yield "name", read["name"]
    yield "created", describe.moment(read["created_at"])
    yield "accepted", f"{read['accepted_today']} today, {read['accepted_30_days']} in 30 days"
    seen = read["recordings"]
    told = ", ".join(f"{seen[name]} {name}" for name in ("uploading", "processing", "ready", "failed"))
    yield "recordings", told + (", of the newest" if seen["at_least"] else "")
    yield "pending", _size(read["pending_bytes"])
    limits = read["rate_limits"]
    for name in ("key", "project"):
        requests, size = limits[f"{name}_requests"], limits[f"{name}_bytes"]
        told = f"{requests or 'any'} requests, {describe.size(size) if size else 'any bytes'}"
        yield f"a minute and {name}", told


def _tenant_cells(one: dict[str, Any]) -> tuple[object, ...]:
    accepted = one["accepted_today"], one["accepted_30_days"]
    jobs = _count(one["due"]), one["running"], _count(one["dead"])
    return (
        one["id"],
        one["name"],
        *accepted,
        _count(one["failed"]),
        _size(one["pending_bytes"]),
        *jobs,
        _oldest(one),
    )


def _queue_cells(one: dict[str, Any]) -> tuple[object, ...]:
    at_once = "" if one["running_max"] is None else one["running_max"]
    return one["kind"], _count(one["due"]), one["running"], _count(one["dead"]), _oldest(one), at_once


def _project_cells(one: dict[str, Any]) -> tuple[object, ...]:
    kept = "" if one["retention_days"] is None else f"{one['retention_days']:g} days"
    rows = "yes" if one["relational"] else ""
    return one["id"], one["name"], describe.moment(one["created_at"]), one["masking"], rows, kept


def _count(counted: dict[str, Any]) -> str:
    return f"{counted['count']}+" if counted["at_least"] else str(counted["count"])


def _size(counted: dict[str, Any]) -> str:
    return describe.size(counted["count"]) + ("+" if counted["at_least"] else "")


def _oldest(one: dict[str, Any]) -> str:
    return "" if one["oldest_due_s"] is None else describe.duration(one["oldest_due_s"] * 1000)


COMMANDS = {"tenants": tenants, "tenant": tenant}
