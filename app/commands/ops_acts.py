"""`tapedeck ops …`: what operators do."""

import time
from typing import Annotated, Any
from uuid import UUID

import typer

from app import describe
from app.commands import terminal
from app.commands.ops_options import (
    All,
    ErrorCode,
    ErrorText,
    Fingerprint,
    Kind,
    KindName,
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
from app.commands.options import Json, Url, Yes
from app.exits import USAGE, Exit
from app.ops_client import OpsClient

POLL_S = 1.0
DECK = "deck"  # instead of a number: what the deck's environment says

JobIds = Annotated[
    list[UUID] | None, typer.Argument(metavar="[ID…]", help="These jobs; else those that match.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell which jobs it would be about.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Until it is over.")]
ActionId = Annotated[UUID, typer.Argument(metavar="ID", help="The action.")]
WorkerId = Annotated[UUID, typer.Argument(metavar="ID", help="The worker.")]
Running = Annotated[
    str | None,
    typer.Option(metavar=f"N|{DECK}", help="Of all tenants; 0: any number, deck: the deck's setting."),
]
PerTenant = Annotated[str | None, typer.Option(metavar=f"N|{DECK}", help="Of each tenant, likewise.")]
KindArgument = Annotated[KindName, typer.Argument(metavar="KIND", help="The kind of jobs.")]


def retry(
    job_ids: JobIds = None,
    kind: Kind = None,
    state: State = None,
    tenant: Tenant = None,
    recording: Recording = None,
    error: ErrorText = None,
    error_code: ErrorCode = None,
    fingerprint: Fingerprint = None,
    older_than: OlderThan = None,
    worker: WorkerName = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    wait: Wait = True,
    url: Url = None,
    api_key: OpsKey = None,
    as_json: Json = False,
) -> None:
    """Try jobs again now: a few first, and the rest unless those fail again."""
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
        _act(client, "retry", job_ids, asked, dry_run=dry_run, yes=yes, wait=wait, as_json=as_json)


def discard(
    job_ids: JobIds = None,
    kind: Kind = None,
    state: State = None,
    tenant: Tenant = None,
    recording: Recording = None,
    error: ErrorText = None,
    error_code: ErrorCode = None,
    fingerprint: Fingerprint = None,
    older_than: OlderThan = None,
    worker: WorkerName = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    wait: Wait = True,
    url: Url = None,
    api_key: OpsKey = None,
    as_json: Json = False,
) -> None:
    """End jobs: recordings that they were owed to fail."""
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
        _act(client, "discard", job_ids, asked, dry_run=dry_run, yes=yes, wait=wait, as_json=as_json)


def actions(
    limit: Limit = 25,
    everything: All = False,
    url: Url = None,
    api_key: OpsKey = None,
    as_json: Json = False,
) -> None:
    """List actions, newest first."""
    with connect_ops(url, api_key) as client:
        found = client.pages("/actions", "actions", {}, None if everything else limit)
        columns = ("id", "verb", "state", "matched", "done", "skipped", "who", "begun")
        terminal.print_rows(found, as_json, columns, _cells)


def stop(action_id: ActionId, url: Url = None, api_key: OpsKey = None, as_json: Json = False) -> None:
    """Do no more of an action; what is done stays done."""
    with connect_ops(url, api_key) as client:
        _show(client.post(f"/actions/{action_id}/stop"), as_json)


def pause(kind: KindArgument, url: Url = None, api_key: OpsKey = None, as_json: Json = False) -> None:
    """Begin no more jobs of a kind."""
    _change(f"/queues/{kind}/pause", "paused", url, api_key, as_json)


def resume(kind: KindArgument, url: Url = None, api_key: OpsKey = None, as_json: Json = False) -> None:
    """Go on with a kind of jobs."""
    _change(f"/queues/{kind}/resume", "resumed", url, api_key, as_json)


def drain(worker_id: WorkerId, url: Url = None, api_key: OpsKey = None, as_json: Json = False) -> None:
    """Have a worker process begin no more jobs."""
    _change(f"/workers/{worker_id}/drain", "drains", url, api_key, as_json)


def undrain(worker_id: WorkerId, url: Url = None, api_key: OpsKey = None, as_json: Json = False) -> None:
    """Have a worker process that drains begin jobs again."""
    _change(f"/workers/{worker_id}/resume", "works", url, api_key, as_json)


def limit(
    kind: KindArgument,
    running: Running = None,
    per_tenant: PerTenant = None,
    url: Url = None,
    api_key: OpsKey = None,
    as_json: Json = False,
) -> None:
    """Let no more than so many jobs of a kind run at once; what is not named stays as it is."""
    asked = {"running_max": running, "tenant_running_max": per_tenant}
    limits = {name: _most(value) for name, value in asked.items() if value is not None}
    if not limits:
        raise Exit("say which limit: --running, --per-tenant, or both", USAGE)
    _change(f"/queues/{kind}/limits", "limited", url, api_key, as_json, limits)


def refill(url: Url = None, api_key: OpsKey = None, as_json: Json = False) -> None:
    """Ring again for what was rung for and not begun: after Redis was emptied."""
    _change("/refill", "rung for again", url, api_key, as_json)


def _most(value: str) -> int | None:
    if value == DECK:
        return None
    if not (value.isascii() and value.isdigit()):
        raise Exit(f"{value}: must be a number, 0 for no limit, or {DECK}", USAGE)
    return int(value)


def _change(
    path: str, done: str, url: str | None, api_key: str | None, as_json: bool, limits: Any = None
) -> None:
    with connect_ops(url, api_key) as client:
        changed = client.post(path) if limits is None else client.put(path, limits)
    if as_json:
        terminal.write_json(changed)
    else:
        terminal.print_line(done if changed["changed"] else "nothing to do", changed["count"])


def _act(
    client: OpsClient,
    verb: str,
    job_ids: list[UUID] | None,
    asked: dict[str, Any],
    *,
    dry_run: bool,
    yes: bool,
    wait: bool,
    as_json: bool,
) -> None:
    if job_ids:
        asked["job_ids"] = [str(one) for one in job_ids]
    if not asked:
        raise Exit("say which jobs: ids, or options such as --state dead --fingerprint …", USAGE)
    if dry_run or not yes:
        seen = client.act(verb, asked, dry_run=True)
        if dry_run:
            terminal.write_json(seen) if as_json else terminal.print_line(_previewed(seen))
            return
        terminal.confirm(f"{verb} {_previewed(seen)}?", otherwise="nothing was done")
    action = client.act(verb, asked)
    terminal.say(f"action {action['id']}; `tapedeck ops stop` stops it")
    if wait:
        action = _followed(client, action)
    _show(action, as_json)
    if action["state"] in ("stopped", "failed"):
        raise Exit(f"the action {action['state']}: {action['reason']}")


def _followed(client: OpsClient, action: dict[str, Any]) -> dict[str, Any]:
    with terminal.stderr().status("acting") as status:
        while action["finished_at"] is None:
            time.sleep(POLL_S)
            action = client.action(action["id"])
            waits = f"; {action['reason']}" if action["reason"] else ""
            status.update(f"{action['state']}: {action['done']} of {action['matched']}{waits}")
    return action


def _previewed(seen: dict[str, Any]) -> str:
    count = (
        f"at least {seen['matched']} jobs" if seen["at_least"] else describe.plural(seen["matched"], "job")
    )
    return f"{count}, the oldest from {describe.moment(seen['oldest_at'])}" if seen["matched"] else count


def _show(action: dict[str, Any], as_json: bool) -> None:
    if as_json:
        terminal.write_json(action)
    else:
        told = f"{action['done']} of {action['matched']} done, {action['skipped']} skipped"
        terminal.print_line(action["id"], action["state"], told, action["reason"] or "")


def _cells(one: dict[str, Any]) -> tuple[object, ...]:
    begun = describe.moment(one["created_at"])
    counts = one["matched"], one["done"], one["skipped"]
    return one["id"], one["verb"], one["state"], *counts, one["who"], begun


COMMANDS = {
    "retry": retry,
    "discard": discard,
    "actions": actions,
    "stop": stop,
    "pause": pause,
    "resume": resume,
    "limit": limit,
    "drain": drain,
    "undrain": undrain,
    "refill": refill,
}
