"""How fast the job `process` computes, and in how much memory, against what anyone would write first.

    uv run python -m benchmarks.process [RECORDING] [--mb 100] [--rounds 3]

The input is RECORDING (a JSON array of rrweb events, plain or .gz; the project's own fixtures when none is given), repeated
with shifted timestamps until it has `--mb` megabytes, and the same with a single event of 20 MB in its middle. *ours* is
everything between payload and storage: decompress, check, order, count, write tape and sidecar. *python* is `json.loads`,
sort, `json.dumps`, `gzip` level 6 of the events alone. Each round runs in a fresh process on one core; the table shows the best
round's CPU time, which a busy machine disturbs least, and the highest peak of memory, interpreter included.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import zstandard

from replay import splice, surrogates
from replay.plan import Claims, plan

MB = 1_000_000
CHUNK_BYTES = 8 << 20  # as payloads are kept
BIG_EVENT_BYTES = 20 * MB
FIXTURES = Path(__file__).parents[1] / "tests" / "fixtures" / "recordings"
FIXTURE_NAMES = ("everything.json", "flood.json.gz", "login.json", "shop.json", "tabs.json", "activity.json")


class Round(NamedTuple):
    seconds: float
    peak_mb: float
    made_mb: float


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("recording", nargs="?", type=Path)
    arguments.add_argument("--mb", type=int, default=100)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--run", choices=RUNS, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.run:
        print(json.dumps(RUNS[given.run](given.recording)))
        return
    source = [given.recording] if given.recording else [FIXTURES / name for name in FIXTURE_NAMES]
    print(f"{'input':<34}{'':<8}{'seconds':>9}{'MB/s':>8}{'ratio':>8}{'peak MB':>9}{'made MB':>9}")
    with tempfile.TemporaryDirectory(prefix="tapedeck-benchmark-") as folder:
        for title, big in (("as recorded", False), ("with a 20 MB event", True)):
            payload = Path(folder, "payload")
            events, size = _write(payload, source, given.mb * MB, big)
            label = f"{size / MB:.0f} MB, {events:,} events, {title}"
            ours, python = (_rounds(name, payload, given.rounds) for name in ("ours", "python"))
            for name, best in (("ours", ours), ("python", python)):
                rate, ratio = size / MB / best.seconds, python.seconds / best.seconds
                print(
                    f"{label if name == 'ours' else '':<44}{name:<8}{best.seconds:>9.2f}{rate:>8.0f}"
                    f"{ratio:>7.1f}x{best.peak_mb:>9.0f}{best.made_mb:>9.1f}"
                )


def _rounds(name: str, payload: Path, rounds: int) -> Round:
    command = [sys.executable, "-m", "benchmarks.process", str(payload), "--run", name]
    done = [Round(*json.loads(subprocess.check_output(command))) for _ in range(rounds)]
    return Round(min(r.seconds for r in done), max(r.peak_mb for r in done), done[0].made_mb)


def _ours(payload: Path) -> Round:
    with payload.open("rb") as file:
        chunks = iter(lambda: file.read(CHUNK_BYTES), b"")
        started = time.process_time()
        planned = plan([chunks], Claims(), max_bytes=1 << 30)
        made = sum(map(len, planned.tape())) + sum(map(len, planned.sidecar()))
        return Round(time.process_time() - started, _peak_mb(), made / MB)


def _python(payload: Path) -> Round:
    body = zstandard.ZstdDecompressor().decompressobj().decompress(payload.read_bytes())
    started = time.process_time()
    events = json.loads(body)["events"]
    del body
    events.sort(key=lambda event: event["timestamp"])
    made = gzip.compress(json.dumps(events).encode(), 6)
    return Round(time.process_time() - started, _peak_mb(), len(made) / MB)


RUNS = {"ours": _ours, "python": _python}


def _peak_mb() -> float:
    """VmHWM: getrusage's figure outlives an exec and would show the parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / MB


def _write(payload: Path, source: list[Path], size: int, big: bool) -> tuple[int, int]:
    """Write the payload of an upload of about `size` bytes. Returns its events and bytes."""
    compressor = zstandard.ZstdCompressor(level=3).compressobj()
    count = written = 0
    with payload.open("wb") as file:
        file.write(compressor.compress(b'{"started_at":"2026-05-04T10:00:00Z","events":['))
        for event in _repeated(source, size, big):
            file.write(compressor.compress(b"," * bool(count) + event))
            count += 1
            written += len(event) + 1
        file.write(compressor.compress(b"]}") + compressor.flush())
    return count, written


def _repeated(source: list[Path], size: int, big: bool) -> Iterator[bytes]:
    """The recordings' events, again and again, each time later."""
    recordings = [_recording(path) for path in source]
    written, later = 0, 0
    while written < size:
        for events in recordings:
            for event, place, at in events:
                shifted = splice.replace(event, {place: str(at + later).encode()})
                written += len(shifted) + 1
                yield shifted
        later += 60_000
        if big and written > size // 2:
            big = False
            written += BIG_EVENT_BYTES
            yield _big_event(recordings, later)


def _recording(path: Path) -> list[tuple[bytes, splice.Member, Any]]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    events = []
    for raw in surrogates.decode(msgspec.json.Decoder(list[msgspec.Raw]), text):
        event = bytes(raw)
        place = splice.members(event)["timestamp"]
        events.append((event, place, json.loads(event[place.start : place.end])))
    return events


def _big_event(recordings: list[list[tuple[bytes, splice.Member, Any]]], at: int) -> bytes:
    """A custom event whose payload is real JSON of that size."""
    event = max((event for events in recordings for event, _, _ in events), key=len)
    copies = BIG_EVENT_BYTES // len(event)
    return b'{"type":5,"timestamp":%d,"data":{"tag":"big","payload":[%b]}}' % (
        recordings[0][0][2] + at,
        b",".join([event] * copies),
    )


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity") and "--run" in sys.argv:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    main()
