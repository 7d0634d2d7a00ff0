"""GET /health and /ready."""

import asyncio
import socket
from pathlib import Path

import httpx

from tests.api.conftest import Serve


async def test_the_process_is_up(anyone: httpx.AsyncClient) -> None:
    answer = await anyone.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_everything_answers(anyone: httpx.AsyncClient) -> None:
    answer = await anyone.get("/ready")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "dependencies": {"database": "ok", "redis": "ok", "storage": "ok"},
    }


async def test_what_is_away_is_named(serve: Serve, tmp_path: Path) -> None:
    web = serve(redis_url="redis://127.0.0.1:1", storage_url=f"file://{tmp_path / 'gone'}")
    (tmp_path / "gone" / ".drafts").rmdir()
    (tmp_path / "gone").rmdir()
    async with web.client() as client:
        answer = await client.get("/ready")
        assert answer.status_code == 503
        assert answer.json() == {
            "status": "unavailable",
            "dependencies": {"database": "ok", "redis": "away", "storage": "away"},
        }
        assert answer.headers["Retry-After"]
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert (await client.get("/health")).status_code == 200


async def test_what_does_not_answer_is_away_within_seconds(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        web = serve(redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}")
        async with web.client() as client:
            answers = await asyncio.wait_for(asyncio.gather(*(client.get("/ready") for _ in range(20))), 30)
    assert {answer.json()["dependencies"]["redis"] for answer in answers} == {"away"}
