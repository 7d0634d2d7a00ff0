"""What a run of the benchmarks says: a table for people, a JSON file for machines."""

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import psutil
from rich.table import Table

from benchmarks.harness import Contender, Measure, Result, Target

VERSIONS = (
    "asyncpg", "dramatiq", "fastapi", "litestar", "msgspec", "procrastinate", "pydantic", "sqlalchemy", "uvicorn",
    "zstandard",
)  # fmt: skip


def table() -> Table:
    """An empty table; `add` fills it."""
    shown = Table(pad_edge=False, box=None, header_style="bold")
    shown.add_column("what")
    shown.add_column("who")
    shown.add_column("role")
    shown.add_column("median", justify="right")
    shown.add_column("range", justify="right", style="dim")
    shown.add_column("ours is", justify="right")
    shown.add_column("target", justify="right")
    shown.add_column("")
    return shown


def add(shown: Table, result: Result) -> None:
    """A line for each contender and measure."""
    comparison = result.comparison
    for measure in comparison.measures:
        title = f"{comparison.title}, {measure.name}"
        for contender in comparison.contenders:
            shown.add_row(title, contender.name, contender.role.value, *_cells(result, measure, contender))
            title = ""
    shown.add_section()


def _cells(result: Result, measure: Measure, contender: Contender) -> Sequence[str]:
    median = result.median(contender.name, measure.name)
    if median is None:
        return "", "", "", "", result.unavailable.get(contender.name, "")
    values = [one[measure.name] for one in result.repetitions[contender.name] if measure.name in one]
    ratio = (
        "" if contender is result.comparison.ours else _ratio(result.times_as_good(measure, contender.name))
    )
    against = None if contender is result.comparison.ours else contender.name
    targets = [t for t in result.comparison.targets if (t.measure, t.against) == (measure.name, against)]
    return (
        f"{figure(median)} {measure.unit}",
        f"{figure(min(values))} - {figure(max(values))}",
        ratio,
        ", ".join(limit(target) for target in targets),
        ", ".join(_verdict(result, target) for target in targets),
    )


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{figure(value)} x"


def limit(target: Target) -> str:
    """`≥ 0.6 x`, or `≤ 2`."""
    unit = " x" if target.against else ""
    bounds = (("≥", target.at_least), ("≤", target.at_most))
    return " ".join(f"{sign} {bound:g}{unit}" for sign, bound in bounds if bound is not None)


def _verdict(result: Result, target: Target) -> str:
    value = result.value(target)
    if value is None:
        return ""
    return "[green]reached[/]" if target.is_reached(value) else "[red]missed[/]"


def figure(value: float) -> str:
    """Three digits that matter."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def document(results: Sequence[Result], failures: Mapping[str, str], *, seconds: float) -> Mapping[str, Any]:
    """Everything that was measured, for the JSON file."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "machine": machine(),
        "failures": failures,
        "comparisons": [_comparison(result) for result in results],
    }


def _comparison(result: Result) -> Mapping[str, Any]:
    comparison = result.comparison
    measured = [m.name for m in comparison.measures]
    return {
        "benchmark": result.benchmark,
        "title": comparison.title,
        "seconds": round(result.seconds, 1),
        "measures": comparison.measures,
        "contenders": [
            {
                "name": contender.name,
                "role": contender.role,
                "unavailable": result.unavailable.get(contender.name),
                "medians": {m: result.median(contender.name, m) for m in measured},
                "ours_times_as_good": {
                    m.name: result.times_as_good(m, contender.name)
                    for m in comparison.measures
                    if contender is not comparison.ours
                },
                "repetitions": result.repetitions[contender.name],
            }
            for contender in comparison.contenders
        ],
        "targets": [
            {
                **msgspec.to_builtins(target),
                "value": (value := result.value(target)),
                "reached": None if value is None else target.is_reached(value),
            }
            for target in comparison.targets
        ],
    }


def machine() -> Mapping[str, Any]:
    """Where this ran, and with what."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": _cpu_model(),
        "cores": usable,
        "memory_bytes": psutil.virtual_memory().total,
        "load": os.getloadavg()[0],
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "versions": {name: version(name) for name in VERSIONS},
    }


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def count_missed(results: Sequence[Result]) -> tuple[int, int]:
    """(targets measured, targets missed)."""
    values = [(target, result.value(target)) for result in results for target in result.comparison.targets]
    known = [target.is_reached(value) for target, value in values if value is not None]
    return len(known), known.count(False)
