"""Clients of live sessions that do not give up: what got no 202 they send again, as often as it takes."""

import asyncio
import random
import time
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import httpx

from tests.api.live import INGEST, event
from tests.promise.dust import SETTLED_S


def batches(session: str, events: int, rng: random.Random, *, overlap: int = 0) -> list[dict[str, Any]]:
    """The batches of a session: out of order, some of them twice, its last one not marked. `overlap`: with so many events of
    the one before."""
    cuts = sorted({0, events, *rng.sample(range(1, events), k=min(events - 1, 6))})
    made = [
        {
            "sessionId": session,
            "fingerprint": f"fp of {session}",
            "events": [event(n) for n in range(max(start - overlap, 0), end)],
        }
        for start, end in pairwise(cuts)
    ]
    made += rng.sample(made, k=2)
    rng.shuffle(made)
    return made


async def send_until_taken(client: httpx.AsyncClient, body: Any) -> None:
    """Send a batch until it is acknowledged; an answer that was lost on the way is none."""
    deadline = time.monotonic() + SETTLED_S
    while True:
        try:
            answer = await client.post(INGEST, json=body)
        except httpx.TransportError:
            answer = None
        if answer is not None and answer.status_code == 202:
            return
        assert answer is None or answer.status_code in (500, 503), answer.text
        assert time.monotonic() < deadline, "a batch is never taken"
        await asyncio.sleep(0.05)


async def send_all(clients: list[httpx.AsyncClient], bodies: Iterable[Any]) -> None:
    """Several clients at once, each with the next batch that nobody has begun."""
    remaining = iter(list(bodies))

    async def work(client: httpx.AsyncClient) -> None:
        for body in remaining:
            await send_until_taken(client, body)

    await asyncio.gather(*map(work, clients))


async def terminal(client: httpx.AsyncClient, sessions: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """The recordings of each session, oldest first, once all of them are terminal."""
    deadline = time.monotonic() + SETTLED_S
    found: dict[str, list[dict[str, Any]]] = {}
    for session in sessions:
        while True:
            try:
                answer = await client.get("/api/v1/recordings", params={"session_id": session})
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.is_success:
                ones = answer.json()["recordings"]
                if ones and all(one["status"] in ("ready", "failed") for one in ones):
                    found[session] = ones[::-1]
                    break
            assert time.monotonic() < deadline, f"session {session} is stuck: {answer and answer.text}"
            await asyncio.sleep(0.1)
    return found


async def numbers_of(client: httpx.AsyncClient, recordings: Iterable[dict[str, Any]]) -> list[int]:
    """The events in the tapes of these recordings, by their numbers, sorted."""
    numbers: list[int] = []
    for one in recordings:
        answer = await client.get(f"/api/v1/recordings/{one['id']}/events")
        assert answer.status_code == 200, answer.text
        numbers += [found["data"]["payload"]["n"] for found in answer.json()]
    return sorted(numbers)
