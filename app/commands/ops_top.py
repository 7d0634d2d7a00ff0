"""`tapedeck ops top`: the verdict, queues, rates, failures and workers of a deck, live, in any terminal that knows ANSI."""

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table

from app import describe
from app.commands import terminal
from app.commands.ops_options import OpsKey, connect_ops
from app.commands.options import Url
from app.ops_client import OpsClient

FAILURES = 8
WORKERS = 12
RECENT = timedelta(seconds=2)

Every = Annotated[float, typer.Option("--every", min=0.5, help="Look again after so many seconds.")]
Once = Annotated[bool, typer.Option("--once", help="Print one frame, and end.")]


def command(every: Every = 2.0, once: Once = False, url: Url = None, api_key: OpsKey = None) -> None:
    """Watch the queues, live; Ctrl-C ends it."""
    with connect_ops(url, api_key) as client:
        if once:
            console = Console(highlight=False)
            console.print(frame(_look(client), None))
            return
        now: dict[str, Any] | None = None
        before: dict[str, Any] | None = None  # the last time that jobs had been counted before
        with Live(console=Console(highlight=False), screen=True, auto_refresh=False) as live:
            try:
                while True:
                    seen = _look(client)
                    if now is not None and _counted_at(seen) > _counted_at(now):
                        before = now
                    now = seen
                    live.update(frame(now, before), refresh=True)
                    time.sleep(every)
            except KeyboardInterrupt:
                return


def frame(now: dict[str, Any], before: dict[str, Any] | None) -> RenderableType:
    """One picture of the deck; with the one before it also how fast things go."""
    seen = now["overview"]
    rates = _rates(now, before) if before else {}
    queues = _table(
        ("queue", "due", "+/s", "scheduled", "running", "dead", "oldest", ""),
        map(partial(_with_rate, rates), map(queue_cells, seen["queues"])),
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


def _look(client: OpsClient) -> dict[str, Any]:
    return {
        "overview": client.get("/overview"),
        "failures": client.get("/failures", {"limit": FAILURES})["failures"],
        "workers": client.get("/workers")["workers"],
    }


def _counted_at(seen: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(seen["overview"]["counted_at"])


def _rates(now: dict[str, Any], before: dict[str, Any]) -> dict[str, str]:
    """How fast the backlog of each queue grows or shrinks: jobs a second."""
    seconds = (_counted_at(now) - _counted_at(before)).total_seconds()
    if seconds <= 0:
        return {}
    earlier = {queue["kind"]: queue["due"] + queue["running"] for queue in before["overview"]["queues"]}
    return {
        queue["kind"]: f"{(queue['due'] + queue['running'] - earlier.get(queue['kind'], 0)) / seconds:+.1f}"
        for queue in now["overview"]["queues"]
    }


def _with_rate(rates: dict[str, str], cells: tuple[object, ...]) -> tuple[object, ...]:
    return *cells[:2], rates.get(str(cells[0]), ""), *cells[2:]


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(terminal.safe(cell) for cell in row))
    return table
