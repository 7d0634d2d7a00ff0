"""What `benchmarks.process` compares, each in a process of its own: `python -m benchmarks.process_runs WHO FILE`.

Says as JSON: seconds by the clock, seconds of CPU time, peak memory in MB (interpreter included), MB made. Reading the
file does not count; for the usual ones, decompressing what was kept does not either.
"""

import gzip
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import zstandard

from replay.mask import Masker
from replay.plan import Claims, plan
from replay.privacy import UNMASKED, Masking, Privacy
from replay.tape import LEVEL

MB = 1_000_000
CHUNK_BYTES = 8 << 20  # as payloads are kept
MAX_BYTES = 1 << 30


def ours(payload: bytes, privacy: Privacy = UNMASKED) -> int:
    """All between payload and storage: decompress, check, order, count, write tape and sidecar."""
    chunks = [payload[at : at + CHUNK_BYTES] for at in range(0, len(payload), CHUNK_BYTES)]
    planned = plan([chunks], Claims(), masker=Masker(privacy), max_bytes=MAX_BYTES)
    return sum(map(len, planned.tape())) + sum(map(len, planned.sidecar()))


def masked(payload: bytes) -> int:
    """The same, and masked as projects are unless they say otherwise."""
    return ours(payload, Privacy())


def strict(payload: bytes) -> int:
    """The same, and all text masked."""
    return ours(payload, Privacy(Masking.STRICT))


def python(upload: bytes) -> int:
    """What anyone would write first."""
    events = json.loads(upload)["events"]
    events.sort(key=lambda event: event["timestamp"])
    return len(gzip.compress(json.dumps(events).encode(), 6))


def zstd(upload: bytes) -> int:
    """No more than making it small."""
    return len(zstandard.ZstdCompressor(level=LEVEL).compress(upload))


RUNS: dict[str, Callable[[bytes], int]] = {run.__name__: run for run in (ours, masked, strict, python, zstd)}


def peak_mb() -> float:
    """VmHWM: getrusage's figure outlives an exec and would show the parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / MB


if __name__ == "__main__":
    run, given = RUNS[sys.argv[1]], Path(sys.argv[2]).read_bytes()
    clock, cpu = time.perf_counter(), time.process_time()
    made = run(given)
    clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    print(json.dumps({"seconds": clock, "cpu": cpu, "peak": peak_mb(), "made": made / MB}))
