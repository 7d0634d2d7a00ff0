"""`tapedeck ops …`: what operators ask. What they do is in `app.commands.ops_acts`, `ops top` in `app.commands.ops_top`."""

from typing import Annotated, Any
from uuid import UUID

import typer

from app import describe
from app.commands import ops_acts, ops_recording, ops_tenants, ops_top, terminal
from app.commands.ops_options import (
    All,
    ErrorCode,
    ErrorText,
    Fingerprint,
    Kind,
    Limit,
    OlderThan,
    OpsKey,
    Recording,
    State,
    Tenant,
    WorkerName,
    connect_ops,
    filter_of,
)
from app.commands.options import Json, RecordingId, Url
from app.exits import REFUSED

HELP = "Watch and steer the jobs of a deck. Needs a key with the scope operate."

JobId = Annotated[UUID, typer.Argument(metavar="ID", help="The job.")]
Days = Annotated[int | None, typer.Option("--days", min=1, max=31, help="By days (UTC), so many.")]
Since = Annotated[float, typer.Option("--since", min=1, help="Of the last so many seconds.")]


def overview(url: Url = None, api_key: OpsKey = None, as_json: Json = False) -> None:
    """Whether all is well, what to do if not, and the queues at a glance."""
    with connect_ops(url, api_key) as client:
        seen = client.get("/overview")
    if as_json:
        terminal.write_json(seen)
        return
    for line in ops_top.verdict_lines(seen):
        terminal.print_line(line)
    columns = ("queue", "due", "scheduled", "running", "dead", "oldest", "")
    terminal.print_table(columns, map(ops_top.queue_cells, seen["queues"]))


def status(url: Url = None, api_key: OpsKey = None, as_json: Json = False) -> None:
    """Whether all is well, and what to do if not. Exit status 1 if not."""
    with connect_ops(url, api_key) as client:
        seen = client.get("/overview")
    if as_json:
        terminal.write_json(seen["verdict"])
    else:
        for line in ops_top.verdict_lines(seen):
            terminal.print_line(line)
    if not seen["verdict"]["well"]:
        raise typer.Exit(REFUSED)


def jobs(
    kind: Kind = None,
    state: State = None,
    tenant: Tenant = None,
    recording: Recording = None,
    error: ErrorText = None,
    error_code: ErrorCode = None,
    fingerprint: Fingerprint = None,
    older_than: OlderThan = None,
    worker: WorkerName = None,
    limit: Limit = 25,
    everything: All = False,
    url: Url = None,
    api_key: OpsKey = None,
    as_json: Json = False,
) -> None:
    """List jobs, newest first; those that are done or cancelled only with that state. With --json: a line each."""
    asked = filter_of(
        kind=kind,
        state=state,
        tenant_id=tenant,
        recording_id=recording,
        error=error,
        error_code=error_code,
        fingerprint=fingerprint,
        older_than_s=older_than,
        worker=worker,
    )
    with connect_ops(url, api_key) as client:
        found = client.pages("/jobs", "jobs", asked, None if everything else limit)
        terminal.print_rows(
            found, as_json, ("id", "kind", "state", "recording", "attempts", "due", "error"), _job_cells
        )


def job(job_id: JobId, url: Url = None, api_key: OpsKey = None, as_json: Json = False) -> None:
    """Why a job is not running, and what its attempts were."""
    with connect_ops(url, api_key) as client:
        read = client.get(f"/jobs/{job_id}")
    if as_json:
        terminal.write_json(read)
        return
    one = read["job"]
    terminal.print_pairs(
        [
            ("job", one["id"]),
            ("kind", one["kind"]),
            ("recording", one["recording_id"]),
            ("tenant", one["tenant_id"]),
            ("state", one["state"]),
            ("why", read["why"]),
        ]
    )
    columns = ("attempt", "began", "took", "worker", "outcome", "fingerprint", "error")
    terminal.print_table(columns, map(_attempt_cells, read["attempts"]))
    newest = next((one["traceback"] for one in read["attempts"] if one["traceback"]), None)
    for line in (newest or "").splitlines():
        terminal.print_line(line)


def life(recording_id: RecordingId, url: Url = None, api_key: OpsKey = None, as_json: Json = False) -> None:
    """Everything that happened to a recording, in its order."""
    with connect_ops(url, api_key) as client:
        read = client.get(f"/recordings/{recording_id}")
    if as_json:
        terminal.write_json(read)
        return
    ops_recording.print_moments(read)


def failures(
    kind: Kind = None,
    tenant: Tenant = None,
    since: Since = 86400,
    limit: Limit = 25,
    url: Url = None,
    api_key: OpsKey = None,
    as_json: Json = False,
) -> None:
    """Ways of failing, the most frequent first."""
    asked = {"kind": kind, "tenant_id": tenant and str(tenant), "since_s": since, "limit": limit}
    with connect_ops(url, api_key) as client:
        read = client.get("/failures", {name: value for name, value in asked.items() if value is not None})
    columns = ("fingerprint", "kind", "attempts", "jobs", "first", "last", "place", "error")
    terminal.print_rows(read["failures"], as_json, columns, ops_top.failure_cells)


def workers(url: Url = None, api_key: OpsKey = None, as_json: Json = False) -> None:
    """The worker processes, and how much each does."""
    with connect_ops(url, api_key) as client:
        read = client.get("/workers")
    columns = ("id", "name", "state", "running", "heard", "kinds")
    terminal.print_rows(read["workers"], as_json, columns, ops_top.worker_cells)


def processes(url: Url = None, api_key: OpsKey = None, as_json: Json = False) -> None:
    """The processes of the deck: web, workers, dispatchers."""
    with connect_ops(url, api_key) as client:
        read = client.get("/processes")
    columns = ("id", "role", "name", "version", "state", "running", "heard")
    terminal.print_rows(read["processes"], as_json, columns, _process_cells)


def conservation(days: Days = None, url: Url = None, api_key: OpsKey = None, as_json: Json = False) -> None:
    """Whether every recording that was accepted is somewhere, hour by hour, or day by day."""
    with connect_ops(url, api_key) as client:
        read = client.get("/conservation", {"days": days or 1})
    what = "day" if days else "hour"
    columns = (what, "accepted", "ready", "failed", "in_progress", "deleted", "missing")
    terminal.print_rows(read[f"{what}s"], as_json, columns, lambda one: [str(one[name]) for name in columns])
    for one in [] if as_json else read["broken"]:
        some = ", ".join(one["recordings"]) or "none can be named"
        terminal.say(f"{one['hour']} does not add up: {one['missing']} missing; {some}")


def audit(
    limit: Limit = 25,
    everything: All = False,
    url: Url = None,
    api_key: OpsKey = None,
    as_json: Json = False,
) -> None:
    """Who did what, newest first."""
    with connect_ops(url, api_key) as client:
        found = client.pages("/audit", "entries", {}, None if everything else limit)
        terminal.print_rows(found, as_json, ("at", "who", "what", "subject", "count"), _entry_cells)


def _job_cells(one: dict[str, Any]) -> tuple[object, ...]:
    error = one["error_code"] or ""
    due = describe.moment(one["due_at"])
    return one["id"], one["kind"], one["state"], one["recording_id"], one["attempts"], due, error


def _attempt_cells(one: dict[str, Any]) -> tuple[object, ...]:
    began, took = describe.moment(one["started_at"]), describe.duration(one["duration_ms"])
    outcome, error = one["outcome"] or "running", one["error"] or ""
    return one["number"], began, took, one["worker"] or "", outcome, one["fingerprint"] or "", error


def _process_cells(one: dict[str, Any]) -> tuple[object, ...]:
    busy = f"{one['running']}/{one['threads']}" if one["role"] == "worker" else ""
    heard = describe.moment(one["heartbeat_at"])
    return one["id"], one["role"], one["name"], one["version"], one["state"], busy, heard


def _entry_cells(one: dict[str, Any]) -> tuple[object, ...]:
    count = "" if one["count"] is None else one["count"]
    return describe.moment(one["at"]), one["who"], one["what"], one["subject"], count


COMMANDS = {
    "top": ops_top.command,
    "status": status,
    "overview": overview,
    "jobs": jobs,
    "job": job,
    "life": life,
    "failures": failures,
    "workers": workers,
    "processes": processes,
    "conservation": conservation,
    "audit": audit,
    **ops_recording.COMMANDS,
    **ops_tenants.COMMANDS,
    **ops_acts.COMMANDS,
}
