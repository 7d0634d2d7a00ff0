"""Twenty clients upload 1 MB recordings to a deck of their own: errors, time to the 201, time from the 201 to `ready`.

    uv run python -m benchmarks.upload [--clients 20] [--each 10] [--bytes 1000000]

The deck is a `tapedeck up` in a temporary home, on the same cores as the clients. Numbers are of this run on this
machine: compare runs, not machines.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import httpx
import zstandard

BIN = Path(sys.executable).parent
START_MS = 1_777_888_800_000


class Timing(NamedTuple):
    """Seconds."""

    accepted: float
    ready: float


def recording(size: int, seed: int) -> bytes:
    """An upload of about `size` bytes: Meta, a full snapshot of many nodes, then mutations and mouse moves."""
    noise = random.Random(seed)  # repeatable
    words = [f"{noise.getrandbits(40):x}" for _ in range(500)]
    nodes = [{"type": 3, "textContent": " ".join(noise.choices(words, k=8)), "id": n} for n in range(2, 400)]
    document = {"type": 0, "childNodes": nodes, "id": 1}
    events: list[dict[str, object]] = [
        {
            "type": 4,
            "data": {"href": "https://example.com/", "width": 1280, "height": 720},
            "timestamp": START_MS,
        },
        {
            "type": 2,
            "data": {"node": document, "initialOffset": {"left": 0, "top": 0}},
            "timestamp": START_MS,
        },
    ]
    length = len(json.dumps(events))
    while length < size:
        text = {"id": noise.randrange(2, 400), "value": " ".join(noise.choices(words, k=20))}
        data = {"source": 0, "texts": [text], "attributes": [], "removes": [], "adds": []}
        events.append({"type": 3, "data": data, "timestamp": START_MS + 10 * len(events)})
        length += len(json.dumps(events[-1])) + 2
    return json.dumps(
        {"started_at": datetime.fromtimestamp(START_MS / 1000, UTC).isoformat(), "events": events}
    ).encode()


@asynccontextmanager
async def deck() -> AsyncIterator[tuple[str, str]]:
    """The URL and the key of a deck that runs until the block ends."""
    with tempfile.TemporaryDirectory(prefix="tapedeck-bench-") as home:
        Path(home).chmod(0o711)  # root's servers run as an ordinary user
        environment = {
            **os.environ,
            "TAPEDECK_HOME": home,
            "PORT": "0",
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        }
        process = await asyncio.create_subprocess_exec(
            str(BIN / "tapedeck"), "up", env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            credentials = Path(home) / "credentials.json"
            while not credentials.exists():
                if process.returncode is not None:
                    raise RuntimeError("`tapedeck up` ended at once")
                await asyncio.sleep(0.1)
            found = json.loads(credentials.read_bytes())
            yield found["url"], found["api_key"]
        finally:
            process.terminate()
            await process.wait()


async def client_of(url: str, key: str, bodies: Sequence[bytes]) -> list[Timing]:
    """One client: uploads one recording after the other, and follows each until it is ready."""
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Content-Encoding": "zstd",
    }
    followed: list[asyncio.Task[Timing]] = []
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=90, trust_env=False) as client:
        for body in bodies:
            began = time.perf_counter()
            answer = await client.post("/api/v1/recordings", content=body)
            answer.raise_for_status()
            accepted = time.perf_counter()
            path = f"/api/v1/recordings/{answer.json()['id']}"
            followed.append(asyncio.create_task(follow(client, path, accepted - began, accepted)))
        return await asyncio.gather(*followed)


async def follow(client: httpx.AsyncClient, path: str, took: float, accepted: float) -> Timing:
    """Wait until the recording is ready. Raises when it failed."""
    while True:
        found = (await client.get(path, headers={"Prefer": "wait=60"})).raise_for_status().json()
        if found["status"] == "ready":
            return Timing(took, time.perf_counter() - accepted)
        if found["status"] == "failed":
            raise RuntimeError(found["failure"])


async def main() -> None:
    """Run the clients and print what they saw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--each", type=int, default=10)
    parser.add_argument("--bytes", type=int, default=1_000_000)
    options = parser.parse_args()
    bodies = [zstandard.compress(recording(options.bytes, seed)) for seed in range(options.each)]
    async with deck() as (url, key):
        began = time.perf_counter()
        clients = (client_of(url, key, bodies) for _ in range(options.clients))
        timings = [timing for timings in await asyncio.gather(*clients) for timing in timings]
        seconds = time.perf_counter() - began
    print(
        f"{len(timings)} uploads of {options.bytes:,} bytes by {options.clients} clients: all ready, {seconds:.1f} s"
    )
    for name, values in zip(("201", "201 to ready"), zip(*timings, strict=True), strict=True):
        median, worst = statistics.median(values) * 1000, max(values) * 1000
        p95 = statistics.quantiles(values, n=20, method="inclusive")[-1] * 1000
        print(f"{name:>14}: median {median:7.0f} ms   p95 {p95:7.0f} ms   worst {worst:7.0f} ms")


if __name__ == "__main__":
    asyncio.run(main())
