"""GET /api/v1/ops/overview: what a deck needs, and the verdict."""

import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from app.health import Readiness
from app.sight import sight_of
from app.verdict import verdict
from models import windows
from models.db import Database
from models.doorbell import connect
from models.job import JobKind
from models.tenancy import Scope
from models.windows import Windows
from settings import Settings
from tests.api.conftest import Serve
from tests.api.operators import OPS, dead, get
from tests.api.served import Served
from tests.api.tenants import new_key, new_tenant
from tests.factories import Deckhand, accepted
from tests.models.steps import FAULT, claimed, make_due, settle
from workers.ringer import Ringer


@pytest.fixture
async def key(database: Database) -> str:
    return await new_key(database, await new_tenant(database), Scope.OPERATE)


@pytest.fixture
async def ops(web: Served, key: str) -> AsyncIterator[httpx.AsyncClient]:
    async with web.client(key) as client:
        yield client


async def test_what_a_deck_needs_answers(ops: httpx.AsyncClient) -> None:
    seen = await get(ops, "/overview")
    found = {one["name"]: one for one in seen["dependencies"]}
    assert set(found) == {"database", "redis", "storage"}
    for one in found.values():
        assert (one["state"], one["error"]) == ("ok", None)
        assert 0 < one["latency_ms"] < 2000
    assert found["storage"]["breaker"]["state"] == "closed"
    assert found["redis"]["breaker"] is None
    assert seen["redis_state"]["policy"] == "noeviction"
    assert seen["redis_state"]["fit"]
    assert seen["redis_state"]["used_bytes"] > 0


async def test_what_is_away_is_told_fast(serve: Serve, key: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        web = serve(
            redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}",
            storage_url=f"file://{tmp_path / 'gone'}",
        )
        (tmp_path / "gone" / ".drafts").rmdir()
        (tmp_path / "gone").rmdir()
        async with web.client(key) as client:
            began = time.monotonic()
            seen = await get(client, "/overview")
            assert time.monotonic() - began < 10
    found = {one["name"]: one for one in seen["dependencies"]}
    assert [found[name]["state"] for name in ("database", "redis", "storage")] == ["ok", "away", "away"]
    assert found["redis"]["latency_ms"] is None
    assert found["storage"]["error"].count("\n") == 0
    assert (seen["redis"], seen["redis_state"]) == ("away", None)
    told = seen["verdict"]
    assert [one["code"] for one in told["troubles"]] == [
        "redis_away",
        "no_dispatcher",
        "storage_unreachable",
    ]
    assert not told["well"]
    assert told["summary"] == f"{told['troubles'][0]['what']} And 2 more."


async def test_the_dispatcher_tells_how_full_the_windows_are(
    ops: httpx.AsyncClient, database: Database, hand: Deckhand, redis_url: str
) -> None:
    assert (await get(ops, "/overview"))["redis_state"]["messages"] is None
    settings = Settings(
        database_url="postgresql://x/x", redis_url=redis_url, storage_url="file:///x", secret_key="x" * 32
    )
    ringer = Ringer(settings, database)
    for _ in range(3):
        await accepted(database, hand)
    for wanted in await ringer.look():
        await ringer.ring(wanted)
    await ringer.tell_windows()
    state = (await get(ops, "/overview"))["redis_state"]
    assert state["window"] == settings.ring_window
    assert state["messages"] == {kind.value: 3 if kind is JobKind.PROCESS else 0 for kind in JobKind}
    await ringer.close()


async def test_what_another_version_said_is_nothing(redis_url: str) -> None:
    redis = connect(redis_url)
    await redis.set(windows.KEY, b'{"window": "wide"}')
    assert await windows.told(redis) is None
    await windows.tell(redis, Windows(64, {"process": 1}))
    assert await windows.told(redis) == Windows(64, {"process": 1})
    assert 0 < await redis.ttl(windows.KEY) <= windows.TOLD_S
    await redis.aclose()


async def test_the_verdict_names_what_died_but_not_of_what_was_sent(
    ops: httpx.AsyncClient, database: Database, hand: Deckhand
) -> None:
    await dead(database, hand, 2)
    codes = [one["code"] for one in (await get(ops, "/overview"))["verdict"]["troubles"]]
    assert codes == ["no_dispatcher"]
    id_ = await accepted(database, hand)
    for _ in range(2):
        await make_due(database)
        await settle(database, await claimed(database, id_), FAULT)
    troubles = (await get(ops, "/overview"))["verdict"]["troubles"]
    assert [(one["severity"], one["code"]) for one in troubles] == [
        ("critical", "no_dispatcher"),
        ("warning", "jobs_dead"),
    ]
    assert troubles[1]["what"].startswith("1 process job gave up")
    listed = await ops.get(f"{OPS}/jobs?{troubles[1]['link'].partition('?')[2]}")
    assert str(id_) in {job["recording_id"] for job in listed.json()["jobs"]}


async def test_without_postgres_the_rest_is_still_seen(redis_url: str) -> None:
    async def refused() -> None:
        raise ConnectionRefusedError("nobody listens")

    redis = connect(redis_url)
    await windows.tell(redis, Windows(64, {}))
    checks = {"database": refused, "redis": redis.ping, "storage": redis.ping}
    pending = SimpleNamespace(size=0, cap=1)
    services: Any = SimpleNamespace(readiness=Readiness(checks), redis=redis, pending=pending)
    sight = await sight_of(services)
    assert (sight.seen, sight.counted, sight.rates) == (None, None, None)
    assert sight.redis is not None
    (trouble,) = verdict(sight).troubles
    assert trouble.code == "database_away"
    assert "nobody listens" in trouble.what
    await redis.aclose()
