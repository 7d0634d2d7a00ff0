"""`tapedeck ops top`: the verdict, queues, rates, failures and workers of a deck, live, in any terminal that knows ANSI."""

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table

from app import describe
from app.answers import Refused
from app.commands import terminal
from app.commands.ops_options import OpsKey, connect_ops
from app.commands.options import Url
from app.ops_client import OpsClient

FAILURES = 8
WORKERS = 12
RECENT = timedelta(seconds=2)
TOO_COSTLY = "too_costly"
NAMES = 16  # characters of a row's name that there is always room for
QUEUE_COLUMNS = ("queue", "due", "later", "runs", "dead", "oldest", "/min", "failed", "wait", "run", "")

Every = Annotated[float, typer.Option("--every", min=0.5, help="Look again after so many seconds.")]
Once = Annotated[bool, typer.Option("--once", help="Print one frame, and end.")]


def command(every: Every = 2.0, once: Once = False, url: Url = None, api_key: OpsKey = None) -> None:
    """Watch the queues, live; Ctrl-C ends it."""
    with connect_ops(url, api_key) as client:
        if once:
            Console(highlight=False).print(frame(_look(client)))
            return
        with Live(console=Console(highlight=False), screen=True, auto_refresh=False) as live:
            try:
                while True:
                    live.update(frame(_look(client)), refresh=True)
                    time.sleep(every)
            except KeyboardInterrupt:
                return


def frame(now: dict[str, Any]) -> RenderableType:
    """One picture of the deck."""
    seen = now["overview"]
    rates = {queue["kind"]: rate_cells(queue) for queue in now["rates"]}
    queues = _table(
        QUEUE_COLUMNS,
        (_with_rate(queue_cells(queue), rates) for queue in seen["queues"]),
    )
    failures = _table(
        ("fingerprint", "kind", "attempts", "jobs", "first", "last", "place", "error"),
        map(failure_cells, now["failures"][:FAILURES]),
    )
    workers = _table(
        ("id", "name", "state", "running", "heard", "kinds"), map(worker_cells, now["workers"][:WORKERS])
    )
    head = (
        f"{describe.moment(seen['at'])}  {describe.plural(seen['workers'], 'worker')}  Redis {seen['redis']}"
    )
    told = [terminal.safe(line) for line in verdict_lines(seen)]
    return Group(*told, "", terminal.safe(head), "", queues, "", failures, "", workers)


def verdict_lines(seen: dict[str, Any]) -> Iterator[str]:
    """Whether all is well; else what is wrong and what to do, a line each; and when jobs were counted, if that is some time ago."""
    verdict = seen["verdict"]
    if verdict["well"]:
        yield verdict["summary"]
    for trouble in verdict["troubles"]:
        yield f"{trouble['severity']}: {trouble['what']} {trouble['do']}"
    at, counted_at = (datetime.fromisoformat(seen[name]) for name in ("at", "counted_at"))
    if (age := at - counted_at) > RECENT:
        yield f"there are many jobs: they were counted {describe.duration(age.total_seconds() * 1000)} ago"


def queue_cells(queue: dict[str, Any]) -> tuple[object, ...]:
    """A queue in a line."""
    oldest = "" if queue["oldest_due_s"] is None else describe.duration(queue["oldest_due_s"] * 1000)
    note = f"paused by {queue['paused_by']}" if queue["paused_at"] else ""
    counts = (queue[name] for name in ("due", "scheduled", "running", "dead"))
    return queue["kind"], *counts, oldest, note


def failure_cells(one: dict[str, Any]) -> tuple[object, ...]:
    """A way of failing in a line."""
    times = describe.moment(one["first_at"]), describe.moment(one["last_at"])
    error = one["sample"] or one["error_code"] or ""
    return one["fingerprint"], one["kind"], one["attempts"], one["jobs"], *times, one["place"] or "", error


def worker_cells(one: dict[str, Any]) -> tuple[object, ...]:
    """A worker in a line."""
    busy = f"{one['running']}/{one['threads']}"
    heard = describe.moment(one["heartbeat_at"])
    return one["id"], one["name"], one["state"], busy, heard, ", ".join(one["kinds"])


def rate_cells(queue: dict[str, Any]) -> tuple[str, ...]:
    """How fast a queue goes: what ended a minute, over the last five; what failed, and the 95th percentile of waits and runs, over the last hour."""
    hour = queue["last_hour"]
    share = "" if hour["failed_share"] is None else f"{hour['failed_share']:.0%}"
    p95 = ((hour[name] and describe.duration(hour[name]["p95"])) or "" for name in ("wait_ms", "run_ms"))
    return f"{queue['last_5_min']['ended_per_min']:.1f}", share, *p95


def _look(client: OpsClient) -> dict[str, Any]:
    return {
        "overview": client.get("/overview"),
        "rates": _rates(client),
        "failures": client.get("/failures", {"limit": FAILURES})["failures"],
        "workers": client.get("/workers")["workers"],
    }


def _rates(client: OpsClient) -> list[dict[str, Any]]:
    """Of each queue; of none while there is too much to count."""
    try:
        queues: list[dict[str, Any]] = client.get("/rates")["queues"]
    except Refused as error:
        if error.code != TOO_COSTLY:
            raise
        return []
    return queues


def _with_rate(cells: tuple[object, ...], rates: dict[str, tuple[str, ...]]) -> tuple[object, ...]:
    *counts, note = cells
    return *counts, *rates.get(str(cells[0]), ("",) * 4), note


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    safe = [[terminal.safe(cell) for cell in row] for row in rows]
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for at, column in enumerate(columns):
        name = max((len(row[0]) for row in safe), default=0) if at == 0 else 0
        least = max(len(column), min(name, NAMES))
        table.add_column(column, no_wrap=True, overflow="ellipsis", min_width=least)
    for row in safe:
        table.add_row(*row)
    return table
