"""What the job `process` computes, without database and storage: speed and memory, against what anyone would write first.

    python -m benchmarks process
    python -m benchmarks.process [RECORDING…] [--mb 10 100] [--rounds 5] [--big-event]

The input is RECORDING (arrays of rrweb events, plain or .gz; the project's own fixtures when none is given), repeated with
later timestamps until it is large enough. *Tapedeck* is everything between payload and storage: decompress, check, order,
count, write tape and sidecar. *Python* and *Node* parse the JSON, sort the events, write JSON and compress it with gzip -6;
*zstd* compresses at our level and does nothing else. Each repetition is a fresh process (`benchmarks.process_runs`).
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks import process_input, report
from benchmarks.harness import (
    Comparison,
    Contender,
    Figures,
    Measure,
    Options,
    Role,
    Target,
    Unavailable,
    run,
)
from benchmarks.process_input import MB, Upload

NODE = Path(__file__).with_name("process_node.mjs")
SIZES_MB = (1, 10, 100)
MEASURES = (
    Measure("rate", "MB/s"),
    Measure("CPU time", "ms", higher_is_better=False),
    Measure("peak memory", "MB", higher_is_better=False),
    Measure("made", "MB", higher_is_better=False),
)
FAST = (Target("rate", "Python", at_least=15), Target("rate", "Node", at_least=10))
FAST_FROM_MB = 10
SMALL = (Target("peak memory", "Python", at_least=2),)
SMALL_FROM_MB = 100


async def benchmark(options: Options) -> AsyncIterator[Comparison]:
    """How fast a payload becomes a tape, and in how much memory."""
    async for comparison in comparisons((), SIZES_MB[:1] if options.quick else SIZES_MB):
        yield comparison


async def comparisons(
    recordings: Sequence[Path], sizes_mb: Sequence[int], *, big_event: bool = False
) -> AsyncIterator[Comparison]:
    """One for each size."""
    for mb in sizes_mb:
        with tempfile.TemporaryDirectory(prefix="tapedeck-bench-") as folder:
            upload = process_input.write(Path(folder), recordings, mb * MB, big_event=big_event)
            yield Comparison(
                f"process {upload.bytes / MB:.0f} MB, {upload.events:,} events",
                MEASURES,
                [
                    Contender("Tapedeck", Role.OURS, partial(measured, "ours", upload, upload.payload)),
                    Contender("Python", Role.USUAL, partial(measured, "python", upload, upload.json)),
                    Contender("Node", Role.USUAL, partial(_node, upload)),
                    Contender("zstd", Role.FLOOR, partial(measured, "zstd", upload, upload.json)),
                ],
                targets=FAST * (mb >= FAST_FROM_MB) + SMALL * (mb >= SMALL_FROM_MB),
                warm_up=False,  # every repetition is a fresh process
            )


async def measured(who: str, upload: Upload, file: Path) -> Figures:
    """One repetition of a run of `benchmarks.process_runs`, in a process of its own."""
    return await _figures(upload, sys.executable, "-m", "benchmarks.process_runs", who, str(file))


async def _node(upload: Upload) -> Figures:
    node = shutil.which("node")
    if node is None:
        raise Unavailable("there is no node in PATH")
    return await _figures(upload, node, str(NODE), str(upload.json))


async def _figures(upload: Upload, *command: str) -> Figures:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{command[-2:]} failed; standard error has why")
    figures = json.loads(said)
    return {
        "rate": upload.bytes / MB / figures["seconds"],
        "CPU time": figures["cpu"] * 1000,
        "peak memory": figures["peak"],
        "made": figures["made"],
    }


async def _main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recordings", nargs="*", type=Path, metavar="RECORDING")
    parser.add_argument("--mb", nargs="+", type=int, default=SIZES_MB)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--big-event", action="store_true", help="a single event of 20 MB in its middle")
    given = parser.parse_args()
    shown = report.table()
    found = comparisons(given.recordings, given.mb, big_event=given.big_event)
    async for result in run("process", found, Options(rounds=given.rounds)):
        report.add(shown, result)
    Console().print(shown)


if __name__ == "__main__":
    asyncio.run(_main())
