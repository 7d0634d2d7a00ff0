"""Errors: one form for all of them, and nothing of our insides."""

import json
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from models.db import Database
from tests.api.test_create import PATH
from tests.factories import upload


async def test_a_problem_has_the_members_of_rfc_9457(api: httpx.AsyncClient) -> None:
    answer = await api.post(PATH, content=upload(started_at="x"))
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert list(answer.json()) == ["type", "title", "status", "detail", "code", "errors"]
    assert (answer.json()["type"], answer.json()["title"], answer.json()["status"]) == (
        "about:blank",
        "Bad Request",
        400,
    )


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nope", 404, "not_found"),
        ("GET", "/api/v2/recordings", 404, "not_found"),
        ("GET", f"{PATH}/{UUID(int=1)}/nope", 404, "not_found"),
        ("PUT", PATH, 405, "method_not_allowed"),
        ("PATCH", f"{PATH}/{UUID(int=1)}", 405, "method_not_allowed"),
        ("DELETE", f"{PATH}/{UUID(int=1)}/events", 405, "method_not_allowed"),
        ("GET", f"{PATH}/{UUID(int=1)}/retry", 405, "method_not_allowed"),
    ],
)
async def test_what_the_framework_refuses_has_the_same_form(
    api: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await api.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    if status == 405:
        assert answer.headers["Allow"]


async def test_an_unexpected_error_shows_nothing_of_our_insides(
    api: httpx.AsyncClient, database: Database
) -> None:
    async with database.autocommit() as connection:
        await connection.execute(text("ALTER TABLE payload RENAME TO hidden"))
    try:
        answer = await api.post(PATH, content=upload())
    finally:
        async with database.autocommit() as connection:
            await connection.execute(text("ALTER TABLE hidden RENAME TO payload"))
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    for word in ("Traceback", "payload", "INSERT", "sqlalchemy", "asyncpg", ".py"):
        assert word not in answer.text
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_a_request_id_is_on_every_answer_and_a_uuid_is_taken_over(api: httpx.AsyncClient) -> None:
    mine = str(uuid4())
    assert (await api.get(PATH, headers={"X-Request-Id": mine})).headers["X-Request-Id"] == mine
    for sent in ({}, {"X-Request-Id": "not a uuid"}, {"X-Request-Id": "x" * 300}):
        given = (await api.get("/nope", headers=sent)).headers["X-Request-Id"]
        assert UUID(given).version == 7


async def test_keys_and_queries_are_never_logged(
    api: httpx.AsyncClient, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    key = api.headers["Authorization"].removeprefix("Bearer ")
    mine = str(uuid4())
    await api.get(PATH, params={"session_id": "very-secret", "api_key": key}, headers={"X-Request-Id": mine})
    await api.post(PATH, content=json.dumps({"api_key": key}).encode())
    out, err = capfd.readouterr()
    logged = (
        out
        + err
        + "".join(
            r.getMessage()
            for r in caplog.records
            if not r.name.startswith(("httpx", "httpcore", "uvicorn.access"))
        )
    )
    assert mine in logged
    assert key not in logged
    assert "very-secret" not in logged
