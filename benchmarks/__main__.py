"""`python -m benchmarks [NAME…]`: run them all, or these; a table and a JSON file. See docs/benchmarks.md."""

import argparse
import asyncio
import importlib
import sys
import time
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import msgspec
from rich.console import Console

from benchmarks import report
from benchmarks.harness import Options, Result, run

NAMES = (
    "accept",
    "ingest",
    "session",
    "process",
    "mask",
    "rows",
    "events",
    "ready",
    "jobs",
    "dispatch",
    "ops",
)
"""The benchmarks, in the order in which they run: each is the module of that name, see `benchmarks.harness`."""

WIDTH = 140  # where there is no terminal
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What is fast, and how fast.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(NAMES)}; none: all")
    parser.add_argument("--quick", action="store_true", help="small and once: does it work?")
    parser.add_argument("--rounds", type=int, help="repetitions of each contender")
    parser.add_argument(
        "--install", action="store_true", help="as root on Debian: install what is missing (nginx)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="default: benchmarks/results/TIME.json")
    given = parser.parse_args()
    if unknown := set(given.names) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}: choose from {', '.join(NAMES)}")
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    began = time.perf_counter()
    results, failures = asyncio.run(
        _run_all(
            given.names or NAMES,
            Options(quick=given.quick, rounds=given.rounds, install=given.install),
            console,
        )
    )
    seconds = time.perf_counter() - began
    shown = report.table()
    for result in results:
        report.add(shown, result)
    console.print(shown)
    path = given.json or RESULTS / f"{time.strftime('%Y%m%dT%H%M%S')}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    document = msgspec.json.encode(report.document(results, failures, seconds=seconds))
    path.write_bytes(msgspec.json.format(document) + b"\n")
    measured, missed = report.count_missed(results)
    console.print(f"{seconds:.0f} s, {measured - missed} of {measured} targets reached; {path}")
    if failures:
        sys.exit(f"failed: {', '.join(failures)}")


async def _run_all(
    names: Sequence[str], options: Options, console: Console
) -> tuple[list[Result], dict[str, str]]:
    """The results, and why the benchmarks failed that did: the others go on."""
    results: list[Result] = []
    failures: dict[str, str] = {}
    with console.status("") as status:
        progress = status.update if console.is_terminal else console.print
        for name in names:
            benchmark = importlib.import_module(f"benchmarks.{name}").benchmark(options)
            try:
                async with aclosing(benchmark) as comparisons:
                    async for result in run(name, comparisons, options, progress):
                        results.append(result)  # noqa: PERF401  # what is there counts when the next one fails
            except Exception as error:
                console.print_exception()
                failures[name] = f"{type(error).__name__}: {error}"
    return results, failures


if __name__ == "__main__":
    main()
