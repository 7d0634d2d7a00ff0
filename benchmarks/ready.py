"""From the 201 to `ready`: how long a recording that was accepted takes until it can be played.

A client follows its recording with `Prefer: wait`, as the API advises; what it sees is what counts: the wake-up through Redis,
the message, claim, processing, storage, commit, and the answer that was held. *alone*: one recording after the other on an idle
deck. *burst*: many at once, all followed. The floor is what `process` computes for the same body, with neither queue nor
database nor storage; nobody else gives both the same promise and a figure to put beside it.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence

import httpx
import zstandard

from benchmarks.accept_bodies import body
from benchmarks.deck import private_servers, running_deck
from benchmarks.harness import Comparison, Contender, Figures, Measure, Options, Role
from benchmarks.process_runs import ours as process
from tests.deck import Deck

SIZES = {"10 kB": 10_000, "1 MB": 1_000_000}
ALONE = 20
BURST = 200
SENDERS = 20
WAIT_S = 60
MEASURES = (
    Measure("median", "ms", higher_is_better=False),
    Measure("p99", "ms", higher_is_better=False),
)


async def benchmark(options: Options) -> AsyncIterator[Comparison]:
    """How soon what was accepted is ready."""
    alone, burst = (2, 4) if options.quick else (ALONE, BURST)
    with private_servers() as servers:
        async with running_deck(servers) as deck:
            for title, size in SIZES.items():
                payload = zstandard.compress(body(size))

                async def one_by_one(payload: bytes = payload) -> Figures:
                    async with deck.client() as client:
                        return _figures([await _ready(client, payload) for _ in range(alone)])

                async def computed(payload: bytes = payload) -> Figures:
                    return _figures([await asyncio.to_thread(_computed, payload) for _ in range(alone)])

                yield Comparison(
                    f"201 to ready, {title} alone",
                    MEASURES,
                    [
                        Contender("Tapedeck", Role.OURS, one_by_one),
                        Contender("computing alone", Role.FLOOR, computed),
                    ],
                    rounds=3,
                )
            payload = zstandard.compress(body(SIZES["10 kB"]))

            async def all_at_once() -> Figures:
                return await _burst(deck, payload, burst)

            yield Comparison(
                f"201 to ready, burst of {burst} x 10 kB",
                [*MEASURES, Measure("rate", "recordings/s")],
                [Contender("Tapedeck", Role.OURS, all_at_once)],
                rounds=3,
            )


async def _burst(deck: Deck, payload: bytes, count: int) -> Figures:
    """Send `count` recordings, some at a time, and follow each on a connection of its own."""
    everybody = httpx.Limits(max_connections=count)
    headers = {"Authorization": f"Bearer {deck.keys.api_key}"}
    async with (
        deck.client() as sender,
        httpx.AsyncClient(
            base_url=deck.url, headers=headers, limits=everybody, timeout=90, trust_env=False
        ) as follower,
    ):
        sending = asyncio.Semaphore(SENDERS)
        began = time.perf_counter()

        async def one() -> float:
            async with sending:
                recording, accepted = await _accepted(sender, payload)
            return await _followed(follower, recording, accepted)

        took = await asyncio.gather(*(one() for _ in range(count)))
        return {**_figures(took), "rate": count / (time.perf_counter() - began)}


async def _ready(client: httpx.AsyncClient, payload: bytes) -> float:
    return await _followed(client, *await _accepted(client, payload))


async def _accepted(client: httpx.AsyncClient, payload: bytes) -> tuple[str, float]:
    """The recording's path, and when its 201 was there."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "zstd"}
    answer = await client.post("/api/v1/recordings", content=payload, headers=headers)
    answer.raise_for_status()
    return answer.headers["Location"], time.perf_counter()


async def _followed(client: httpx.AsyncClient, path: str, accepted: float) -> float:
    """Seconds from the 201 until a client knew that it is ready."""
    while True:
        try:
            answer = await client.get(path, headers={"Prefer": f"wait={WAIT_S}"})
        except httpx.RemoteProtocolError:  # a kept connection may be closed just when it is used again
            continue
        found = answer.raise_for_status().json()
        if found["status"] == "ready":
            return time.perf_counter() - accepted
        if found["status"] == "failed":
            raise RuntimeError(found["failure"])


def _computed(payload: bytes) -> float:
    began = time.perf_counter()
    process(payload)
    return time.perf_counter() - began


def _figures(seconds: Sequence[float]) -> Figures:
    return {
        "median": statistics.median(seconds) * 1000,
        "p99": statistics.quantiles(seconds, n=100, method="inclusive")[-1] * 1000,
    }
