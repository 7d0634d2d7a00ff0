"""What masking costs: the job `process` with the policy `default`, against the same with `off`.

    python -m benchmarks mask
    python -m benchmarks.mask [RECORDING…] [--mb 10 100] [--rounds 5]

RECORDING and input are as in `benchmarks.process`; the project's own fixtures hold password inputs, card numbers and marked
elements, and so does every repetition of them: there is more to mask in them than in most recordings. *strict* masks all text
besides. The target says that masking costs at most as much again as all the rest, and memory stays within that of `process`.
"""

import argparse
import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks import process_input, report
from benchmarks.harness import Comparison, Contender, Options, Role, Target, run
from benchmarks.process import MEASURES, measured
from benchmarks.process_input import MB

SIZES_MB = (10, 100)
TARGETS = (Target("CPU time", "off", at_least=0.5), Target("peak memory", "off", at_least=0.5))


async def benchmark(options: Options) -> AsyncIterator[Comparison]:
    """What masking costs in time and memory."""
    async for comparison in comparisons((), (1,) if options.quick else SIZES_MB):
        yield comparison


async def comparisons(recordings: Sequence[Path], sizes_mb: Sequence[int]) -> AsyncIterator[Comparison]:
    """One for each size."""
    for mb in sizes_mb:
        with tempfile.TemporaryDirectory(prefix="tapedeck-bench-") as folder:
            upload = process_input.write(Path(folder), recordings, mb * MB)
            yield Comparison(
                f"mask {upload.bytes / MB:.0f} MB, {upload.events:,} events",
                MEASURES,
                [
                    Contender("default", Role.OURS, partial(measured, "masked", upload, upload.payload)),
                    Contender("strict", Role.USUAL, partial(measured, "strict", upload, upload.payload)),
                    Contender("off", Role.FLOOR, partial(measured, "ours", upload, upload.payload)),
                ],
                targets=TARGETS,
                warm_up=False,  # every repetition is a fresh process
            )


async def _main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recordings", nargs="*", type=Path, metavar="RECORDING")
    parser.add_argument("--mb", nargs="+", type=int, default=SIZES_MB)
    parser.add_argument("--rounds", type=int)
    given = parser.parse_args()
    shown = report.table()
    async for result in run("mask", comparisons(given.recordings, given.mb), Options(rounds=given.rounds)):
        report.add(shown, result)
    Console().print(shown)


if __name__ == "__main__":
    asyncio.run(_main())
