"""`/ops/failures`: the groups of the API, each with a way to its jobs and a way to retry them."""

import re
from html import unescape
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from models.db import Database
from tests.api.operators import dead, get, hostile
from tests.api.pages.visitor import Sheet, Visitor
from tests.api.tenants import new_tenant
from tests.api.test_ops import ops as ops
from tests.factories import Deckhand
from tests.models.steps import FAULT


@pytest.mark.parametrize("given", [{}, {"since_s": "3600"}, {"kind": "process"}, {"kind": "relate"}])
async def test_each_group_is_as_the_api_counts_it(
    operator: Visitor, ops: httpx.AsyncClient, database: Database, hand: Deckhand, given: dict[str, Any]
) -> None:
    await dead(database, hand, 2)
    await dead(database, await new_tenant(database))
    await dead(database, hand, failure=FAULT)
    await dead(database, hand, failure=hostile())
    async with database.transaction() as session:
        await session.execute(
            text("UPDATE attempt SET ended_at = ended_at - interval '2 h' WHERE outcome = 'fault'")
        )
    page = await operator.see("/ops/failures", **given)
    expected = (await get(ops, "/failures", **given))["failures"]
    groups = re.findall(r'<li class="sheet group" id="group-(\w+)">(.*?)</li>', page.html, re.DOTALL)
    assert [fingerprint for fingerprint, _ in groups] == [one["fingerprint"] for one in expected]
    for one, (_, html) in zip(expected, groups, strict=True):
        said, links = Sheet(f"<main>{html}</main>").text, Sheet(html).links
        for name in ("attempts", "jobs", "recordings", "tenants"):
            assert f"{name if one[name] != 1 else name[:-1]} {one[name]}" in said
        assert one["sample"] in unescape(html)
        assert one["last_at"] in html
        assert (one["traceback"] or "") in unescape(html)
        assert f"/ops/jobs?fingerprint={one['fingerprint']}&state=dead" in links
        assert f"/ops/jobs/{one['sample_job']}" in links
        assert f"/ops/actions/new?verb=retry&state=dead&fingerprint={one['fingerprint']}" in links
        if one["jobs"] and one["error_code"] == "no_valid_events":
            found = await operator.see(f"/ops/jobs?fingerprint={one['fingerprint']}&state=dead")
            assert len(re.findall('<tr id="job-', found.html)) == one["jobs"]
    assert "<script>alert" not in page.html


async def test_when_nothing_failed_that_is_said(operator: Visitor) -> None:
    page = await operator.see("/ops/failures", fingerprint="0" * 16)
    assert "Nothing failed." in page.text
    assert f"/ops/failures?fingerprint={'0' * 16}&since_s=604800" in page.links


@pytest.mark.parametrize(
    ("name", "value"),
    [("since_s", "0"), ("since_s", "soon"), ("kind", "<b>"), ("fingerprint", "x"), ("tenant_id", "1")],
)
async def test_a_wrong_filter_is_named(operator: Visitor, name: str, value: str) -> None:
    answer = await operator.client.get("/ops/failures", params={name: value})
    assert answer.status_code == 400
    page = Sheet(answer.text)
    assert f"{name} must be" in page.text
    assert "/ops/failures" in page.links
