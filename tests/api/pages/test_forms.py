"""Every form of every page: without proof of where it is from, it does nothing."""

from uuid import UUID

import pytest
from litestar.routes import HTTPRoute

from app.pages.routes import PAGES
from tests.api.pages.visitor import Sheet, Visitor

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
FORMS = sorted(
    {
        (method, route.path)
        for route in PAGES.routes
        if isinstance(route, HTTPRoute)
        for method in UNSAFE & set(route.methods)
    }
)


def test_there_are_forms() -> None:
    assert ("POST", "/ops/actions") in FORMS


@pytest.mark.parametrize(("method", "path"), FORMS)
async def test_a_form_without_proof_does_nothing(operator: Visitor, method: str, path: str) -> None:
    parts = [
        (str(UUID(int=1)) if "uuid" in part else "process") if "{" in part else part
        for part in path.split("/")
    ]
    for data in ({}, {"csrf": "AAAA"}):
        refused = await operator.client.request(method, "/".join(parts), data=data)
        assert refused.status_code == 403
        assert "Nothing was done" in Sheet(refused.text).text
