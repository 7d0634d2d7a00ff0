"""Who may call: keys, where they are sent, scopes."""

import asyncio

import httpx
import pytest
from sqlalchemy import text

from models.db import Database
from models.tenancy import Scope, new_secret
from tests.api.served import Served
from tests.api.tenants import new_key
from tests.api.test_create import PATH
from tests.factories import Deckhand, upload


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key", "X-SeeStack-Key", "x-api-key"])
async def test_a_key_may_come_in_any_of_its_headers(
    anyone: httpx.AsyncClient, hand: Deckhand, header: str
) -> None:
    prefix = "Bearer " if header == "Authorization" else ""
    answer = await anyone.get(PATH, headers={header: prefix + hand.keys.api_key})
    assert answer.status_code == 200


async def test_without_a_key_nothing_is_told(anyone: httpx.AsyncClient) -> None:
    for answer in (
        await anyone.get(PATH),
        await anyone.post(PATH, content=upload()),
        await anyone.get(f"{PATH}/x"),
    ):
        assert answer.status_code in (401, 404)
        assert answer.headers["Content-Type"] == "application/problem+json"
    refused = await anyone.get(PATH)
    assert refused.json()["code"] == "unauthorized"
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer tdk_wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"X-API-Key": "' OR 1=1 --"},
        {"X-API-Key": "x" * 5000},
        {"X-API-Key": ""},
    ],
)
async def test_a_wrong_key_is_401(anyone: httpx.AsyncClient, hand: Deckhand, headers: dict[str, str]) -> None:
    answer = await anyone.get(PATH, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_bytes_that_are_no_text_are_a_wrong_key(anyone: httpx.AsyncClient) -> None:
    answer = await anyone.get(PATH, headers=[(b"X-API-Key", b"\xff\xfe\x80")])
    assert answer.status_code == 401


async def test_a_key_in_the_query_is_no_key(anyone: httpx.AsyncClient, hand: Deckhand) -> None:
    assert (await anyone.get(PATH, params={"api_key": hand.keys.api_key})).status_code == 401


async def test_a_revoked_key_is_401_at_once(api: httpx.AsyncClient, database: Database) -> None:
    assert (await api.get(PATH)).status_code == 200
    async with database.autocommit() as connection:
        await connection.execute(text("UPDATE api_key SET revoked_at = now()"))
    assert (await api.get(PATH)).status_code == 401


async def test_the_body_of_a_stranger_is_not_read(web: Served, hand: Deckhand) -> None:
    reader, writer = await asyncio.open_connection(web.host, web.port)
    writer.write(
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX-API-Key: {new_secret()}\r\nContent-Length: 9\r\n\r\n".encode()
    )
    assert b" 401 " in await asyncio.wait_for(reader.readuntil(b"\r\n"), 20)
    writer.close()


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        (Scope.INGEST, {("POST", ""), ("GET", "/{id}")}),
        (Scope.READ, {("GET", ""), ("GET", "/{id}"), ("GET", "/{id}/events"), ("GET", "/{id}/logs")}),
        (Scope.MANAGE, {("POST", "/{id}/retry"), ("DELETE", "/{id}")}),
        (Scope.OPERATE, set()),
    ],
)
async def test_each_scope_opens_its_doors_and_no_other(
    web: Served,
    api: httpx.AsyncClient,
    database: Database,
    hand: Deckhand,
    scope: Scope,
    allowed: set[tuple[str, str]],
) -> None:
    made = (await api.post(PATH, content=upload())).json()["id"]
    doors = {
        ("POST", ""), ("GET", ""), ("GET", "/{id}"), ("GET", "/{id}/events"), ("GET", "/{id}/logs"),
        ("POST", "/{id}/retry"), ("DELETE", "/{id}"),
    }  # fmt: skip
    async with web.client(await new_key(database, hand, scope)) as client:
        forbidden = set()
        for method, path in doors:
            answer = await client.request(method, PATH + path.format(id=made), content=upload())
            assert answer.status_code != 401
            if answer.status_code == 403:
                assert answer.json()["code"] == "forbidden"
                forbidden.add((method, path))
    assert forbidden == doors - allowed
