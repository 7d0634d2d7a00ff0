"""Every page and every form: nobody but an operator who has signed in gets to it, and no key does."""

from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest
from litestar.routes import HTTPRoute

from app.pages.routes import PAGES
from models.db import Database
from models.tenancy import Scope
from tests.api.pages.visitor import Sheet, Visitor, make_operator
from tests.api.served import Served
from tests.factories import Deckhand

METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
ROUTES = sorted(
    {
        (method, route.path)
        for route in PAGES.routes
        if isinstance(route, HTTPRoute)
        for method in METHODS & set(route.methods)
    }
)


def at(path: str) -> str:
    """An address of a route."""
    named = {"uuid": str(UUID(int=1)), "str": "process", "path": "nowhere"}
    return "/".join(
        named[part.strip("{}").partition(":")[2]] if "{" in part else part for part in path.split("/")
    )


@pytest.fixture
async def someone(web: Served, database: Database, hand: Deckhand) -> AsyncIterator[Visitor]:
    """Has signed in, and may do everything but operate."""
    await make_operator(database, hand, scopes=tuple(set(Scope) - {Scope.OPERATE}))
    async with httpx.AsyncClient(base_url=web.url, timeout=60, trust_env=False) as client:
        visitor = Visitor(client)
        await visitor.sign_in()
        yield visitor


def test_there_are_routes() -> None:
    assert {("GET", "/ops"), ("GET", "/ops/tenants"), ("POST", "/ops/refill")} <= set(ROUTES)


async def test_strangers_are_asked_to_sign_in(web: Served, hand: Deckhand) -> None:
    for key in (None, hand.keys.operator_key):
        async with web.client(key) as client:
            for method, path in ROUTES:
                answer = await client.request(method, at(path))
                assert answer.status_code == 303, (method, path)
                assert answer.headers["Location"].startswith("/sign-in?to="), (method, path)


async def test_who_may_not_operate_is_turned_away(someone: Visitor) -> None:
    for method, path in ROUTES:
        answer = await someone.client.request(method, at(path))
        assert answer.status_code == 403, (method, path)
        assert "for operators" in Sheet(answer.text).text
        stream = await someone.client.request(method, at(path), headers={"Accept": "text/event-stream"})
        assert stream.text.startswith("event: signed-out"), (method, path)
