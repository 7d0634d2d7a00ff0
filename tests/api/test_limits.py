"""Limits of rate: predictable for each key and project, common to all web processes, and no harm when Redis is away."""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from app import buckets
from app.embedded import EmbeddedValkey
from models.db import Database
from models.tenancy import Scope
from tests.api.conftest import Serve
from tests.api.served import Served
from tests.api.tenants import new_key, new_tenant
from tests.api.test_bodies import head
from tests.api.test_create import PATH, rows
from tests.api.test_openapi import check_answer
from tests.api.test_save_replay import SAVE, session
from tests.api.test_sign_in import ALL, WHO, make_user
from tests.factories import Deckhand, upload

BODY = upload()
NONE = {
    "rate_limit_requests": 0,
    "rate_limit_bytes": 0,
    "project_rate_limit_requests": 0,
    "project_rate_limit_bytes": 0,
}


def serving(serve: Serve, **settings: Any) -> Served:
    """A service with these limits, and no others."""
    return serve(**NONE | settings)


async def post(api: httpx.AsyncClient, times: int = 1, content: Any = BODY, **headers: str) -> list[int]:
    """The statuses of so many requests, one after the other."""
    return [(await api.post(PATH, content=content, headers=headers)).status_code for _ in range(times)]


async def chunked(body: bytes) -> AsyncIterator[bytes]:
    """A body whose length nobody announces."""
    yield body[:100]
    yield body[100:]


async def test_past_the_requests_of_a_key_is_429_and_nothing_is_stored(
    serve: Serve, hand: Deckhand, database: Database
) -> None:
    web = serving(serve, rate_limit_requests=3)
    async with web.client(hand.keys.api_key) as api:
        assert await post(api, 3) == [201] * 3
        before = await rows(database)
        answer = await api.post(PATH, content=BODY, headers={"Origin": "https://app.example.com"})
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert answer.headers["Content-Type"] == "application/problem+json"
        retry_s = int(answer.headers["Retry-After"])
        assert 1 <= retry_s <= 20
        assert answer.headers["RateLimit-Policy"] == '"key-requests";q=3;w=60'
        assert answer.headers["RateLimit"] == f'"key-requests";r=0;t={retry_s}'
        exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= set(exposed)
        assert await rows(database) == before
        assert (await api.get(PATH)).status_code == 200  # reads are not limited
        assert "RateLimit" not in (await api.get(PATH)).headers


async def test_save_replay_counts_against_the_same_limit_and_says_it_in_its_own_words(
    serve: Serve, hand: Deckhand
) -> None:
    web = serving(serve, rate_limit_requests=2)
    async with web.client(hand.keys.ingest_key) as ingest:
        assert await post(ingest) == [201]
        saved = await ingest.post(SAVE, content=session())
        assert (saved.status_code, saved.headers["RateLimit"]) == (201, '"key-requests";r=0;t=60')
        refused = await ingest.post(SAVE, content=session())
        assert (refused.status_code, set(refused.json())) == (429, {"message"})
        assert refused.headers["Retry-After"]
        assert refused.headers["RateLimit-Policy"] == '"key-requests";q=2;w=60'


async def test_the_published_document_knows_these_answers(
    serve: Serve, hand: Deckhand, anyone: httpx.AsyncClient
) -> None:
    document = (await anyone.get("/openapi.json")).json()
    web, full = serve(rate_limit_requests=2), serve(pending_max_bytes=1)
    async with web.client(hand.keys.api_key) as api, full.client(hand.keys.api_key) as late:
        for status in 201, 429:
            for path, body in ((PATH, BODY), (SAVE, session())):
                answer = await api.post(path, content=body)
                assert answer.status_code == status
                check_answer(document, answer)
        await post(late)
        for path in PATH, SAVE:
            answer = await late.post(path, content=BODY)
            assert answer.status_code == 503
            check_answer(document, answer)


async def test_answers_say_what_is_left_of_all_limits(serve: Serve, hand: Deckhand) -> None:
    web = serving(
        serve,
        rate_limit_requests=10,
        rate_limit_bytes=100 * len(BODY),
        project_rate_limit_requests=20,
        project_rate_limit_bytes=200 * len(BODY),
    )
    size = len(BODY)
    async with web.client(hand.keys.api_key) as api:
        answer = await api.post(PATH, content=BODY)
        assert answer.headers["RateLimit-Policy"] == (
            f'"key-requests";q=10;w=60, "key-bytes";q={100 * size};qu="content-bytes";w=60, '
            f'"project-requests";q=20;w=60, "project-bytes";q={200 * size};qu="content-bytes";w=60'
        )
        assert answer.headers["RateLimit"] == (
            f'"key-requests";r=9;t=6, "key-bytes";r={99 * size};t=1, '
            f'"project-requests";r=19;t=3, "project-bytes";r={199 * size};t=1'
        )
        bad = await api.post(PATH, content=b"{")
        assert (bad.status_code, bad.headers["RateLimit"].partition(",")[0]) == (
            400,
            '"key-requests";r=8;t=12',
        )


async def test_what_was_spent_comes_back_by_and_by(serve: Serve, hand: Deckhand) -> None:
    web = serving(serve, rate_limit_bytes=100 * len(BODY))
    async with web.client(hand.keys.api_key) as api:
        await post(api, content=BODY + b" " * 99 * len(BODY))
        statuses = await post(api)
        while statuses[-1] == 429:
            statuses += await post(api)
        assert statuses[-1] == 201
        assert statuses[0] == 429


async def test_keys_are_limited_apart_and_projects_together(
    serve: Serve, hand: Deckhand, database: Database
) -> None:
    third = await new_key(database, hand, Scope.INGEST)
    other = await new_tenant(database)
    web = serving(serve, rate_limit_requests=2, project_rate_limit_requests=5)
    async with (
        web.client(hand.keys.api_key) as api,
        web.client(hand.keys.ingest_key) as ingest,
        web.client(third) as last,
        web.client(other.keys.api_key) as elsewhere,
    ):
        assert await post(api, 8) == [201, 201, *[429] * 6]  # what is refused costs the project nothing
        assert await post(ingest, 3) == [201, 201, 429]
        assert await post(last, 1) == [201]
        refused = await last.post(PATH, content=BODY)
        assert refused.status_code == 429
        assert refused.headers["RateLimit"].startswith('"key-requests";r=1;t=30, "project-requests";r=0;t=')
        assert await post(elsewhere, 2) == [201, 201]


async def test_a_session_is_limited_by_its_user(serve: Serve, hand: Deckhand, database: Database) -> None:
    await make_user(database, hand, *ALL)
    web = serving(serve, rate_limit_requests=2)
    async with web.client() as browser, web.client() as another, web.client(hand.keys.api_key) as api:
        for one in browser, another:
            assert (await one.post("/login", json=WHO)).status_code == 200
        json = {"Content-Type": "application/json"}
        assert await post(browser, **json) == [201]
        assert await post(another, **json) == [201]
        refused = await browser.post(PATH, content=BODY, headers=json)
        assert (refused.status_code, refused.headers["RateLimit-Policy"]) == (429, '"user-requests";q=2;w=60')
        assert await post(api) == [201]


async def test_a_repeated_request_counts_like_any_other(serve: Serve, hand: Deckhand) -> None:
    web = serving(serve, rate_limit_requests=2)
    async with web.client(hand.keys.api_key) as api:
        assert await post(api, 3, **{"Idempotency-Key": "once"}) == [201, 201, 429]


async def test_bytes_as_sent_are_limited_whether_they_were_announced_or_not(
    serve: Serve, hand: Deckhand
) -> None:
    web = serving(serve, rate_limit_bytes=3 * len(BODY))
    async with web.client(hand.keys.api_key) as api:
        announced, not_announced = await post(api), await post(api, content=chunked(BODY))
        assert announced + not_announced == [201, 201]
        twice = BODY + b" " * len(BODY)
        assert await post(api, content=chunked(twice)) == [429]
        assert await post(api, content=twice) == [429]
        assert await post(api) == [201]
        assert await post(api) == [429]


async def test_what_broke_off_counts_too(serve: Serve, hand: Deckhand) -> None:
    web = serving(serve, rate_limit_bytes=3 * len(BODY))
    async with web.client(hand.keys.api_key) as api:
        broken = {"Content-Encoding": "gzip"}
        assert await post(api, content=chunked(b" " * 2 * len(BODY)), **broken) == [400]
        assert await post(api, 2) == [201, 429]


async def test_a_body_larger_than_a_minutes_bytes_takes_a_full_bucket(serve: Serve, hand: Deckhand) -> None:
    web = serving(serve, rate_limit_bytes=len(BODY) // 2)
    async with web.client(hand.keys.api_key) as api:
        assert await post(api, 2) == [201, 429]


async def test_a_body_that_is_refused_for_its_length_costs_no_bytes(serve: Serve, hand: Deckhand) -> None:
    web = serving(serve, rate_limit_bytes=len(BODY), max_body_bytes=len(BODY))
    async with web.client(hand.keys.api_key) as api:
        assert await post(api, content=BODY + b" ") == [413]
        assert await post(api) == [201]


async def test_429_comes_before_the_body_is_read(serve: Serve, hand: Deckhand) -> None:
    web = serving(serve, rate_limit_requests=1)
    async with web.client(hand.keys.api_key) as api:
        assert await post(api) == [201]
    reader, writer = await asyncio.open_connection(web.host, web.port)
    writer.write(head(hand, "Content-Length: 1000"))  # and not one byte of it
    assert b" 429 " in await asyncio.wait_for(reader.readuntil(b"\r\n"), 20)
    writer.close()


async def test_two_services_share_a_limit(serve: Serve, hand: Deckhand) -> None:
    one, two = (serving(serve, rate_limit_requests=5) for _ in range(2))
    async with one.client(hand.keys.api_key) as first, two.client(hand.keys.api_key) as second:
        assert await post(first, 3) == [201] * 3
        assert await post(second, 3) == [201, 201, 429]
        assert await post(first) == [429]


async def test_a_large_quota_is_taken_from_redis_in_steps(serve: Serve, hand: Deckhand) -> None:
    web = serving(serve, rate_limit_requests=6000)
    async with web.client(hand.keys.api_key) as api:
        left = [
            (await api.post(PATH, content=BODY)).headers["RateLimit"] for _ in range(6000 // buckets.STEPS)
        ]
    # Not one was asked for meanwhile: what came back to the bucket since would show.
    assert left == [f'"key-requests";r={5999 - number};t=1' for number in range(len(left))]


async def test_what_is_in_redis_is_a_key_for_each_limit_and_goes_by_itself(
    serve: Serve, hand: Deckhand, redis_url: str
) -> None:
    limits = {name: 10 * (len(BODY) if "bytes" in name else 1) for name in NONE}
    web = serving(serve, **limits)
    async with web.client(hand.keys.api_key) as api, Redis.from_url(redis_url) as redis:
        assert await post(api, 5) == [201] * 5
        keys = await redis.keys("tapedeck:rate:*")
        assert len(keys) == len(limits)
        for key in keys:
            assert 0 < await redis.ttl(key) <= buckets.WINDOW_S


@pytest.fixture
def own_valkey() -> Iterator[EmbeddedValkey]:
    """A Valkey to kill."""
    with tempfile.TemporaryDirectory(prefix="tapedeck-limits-") as name:
        Path(name).chmod(0o711)  # root's servers run as an ordinary user
        server = EmbeddedValkey(Path(name) / "valkey")
        server.prepare()
        with server:
            yield server


async def is_shared(url: str) -> bool:
    """Whether a bucket is in Redis."""
    async with Redis.from_url(url) as redis:
        return bool(await redis.keys("tapedeck:rate:*"))


async def test_without_redis_a_limit_of_its_own_holds_until_redis_is_back(
    serve: Serve,
    hand: Deckhand,
    database: Database,
    own_valkey: EmbeddedValkey,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(buckets, "AWAY_S", 0.2)
    web = serving(serve, rate_limit_requests=5, redis_url=own_valkey.url)
    async with web.client(hand.keys.api_key) as api:
        assert await post(api, 2) == [201] * 2
        own_valkey.kill()
        assert await post(api, 7) == [*[201] * 5, 429, 429]
        assert await rows(database) == 7 * 3
        own_valkey.start()
        async with Redis.from_url(own_valkey.url) as redis:
            await redis.flushall()
        while not await is_shared(own_valkey.url):
            await post(api)


async def test_a_redis_that_is_frozen_loses_nothing(
    serve: Serve, hand: Deckhand, database: Database, own_valkey: EmbeddedValkey
) -> None:
    web = serving(serve, rate_limit_requests=50, redis_url=own_valkey.url)
    async with web.client(hand.keys.api_key) as api:
        assert await post(api) == [201]
        os.kill(own_valkey.pid, signal.SIGSTOP)
        answers = await asyncio.gather(*(api.post(PATH, content=BODY) for _ in range(20)))
        assert [answer.status_code for answer in answers] == [201] * 20
        os.kill(own_valkey.pid, signal.SIGCONT)
    assert await rows(database) == 21 * 3


async def test_a_redis_that_was_never_there_hinders_nobody(serve: Serve, hand: Deckhand) -> None:
    web = serving(serve, rate_limit_requests=2, redis_url="redis://127.0.0.1:1")
    async with web.client(hand.keys.api_key) as api:
        assert await post(api, 3) == [201, 201, 429]
