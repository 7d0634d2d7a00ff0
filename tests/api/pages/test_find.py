"""`/ops/find`: from an id to the page of what has it."""

from uuid import uuid4

import pytest

from models.db import Database
from tests.api.operators import dead, job_id
from tests.api.pages.visitor import Sheet, Visitor
from tests.factories import Deckhand


async def test_an_id_leads_to_what_has_it(operator: Visitor, database: Database, hand: Deckhand) -> None:
    (recording,) = await dead(database, hand)
    job = await job_id(database, recording)
    for id_, target in (
        (job, f"/ops/jobs/{job}"),
        (recording, f"/ops/recordings/{recording}"),
        (hand.tenant_id, f"/ops/tenants/{hand.tenant_id}"),
    ):
        for written in (str(id_), f"  {id_}\n", id_.hex, str(id_).upper()):
            answer = await operator.client.get("/ops/find", params={"q": written})
            assert (answer.status_code, answer.headers["Location"]) == (303, target)
    away = await operator.client.get("/ops/find", params={"q": "0123456789abcdef"})
    assert away.headers["Location"].startswith("/ops/failures?fingerprint=0123456789abcdef")


@pytest.mark.parametrize(
    "q", [str(uuid4()), "<script>alert(1)</script>", "019a2b4c…9a01", "x" * 5000, "\u202e\0'"]
)
async def test_what_is_not_found_is_said_with_what_can_be(operator: Visitor, q: str) -> None:
    answer = await operator.client.get("/ops/find", params={"q": q})
    assert answer.status_code == 404
    page = Sheet(answer.text)
    assert "Nothing found" in page.text
    assert {"/ops/jobs", "/ops/failures", "/ops/tenants"} <= set(page.links)
    assert "<script>alert" not in answer.text


@pytest.mark.parametrize("q", ["", "   "])
async def test_nothing_asked_for_is_asked_again(operator: Visitor, q: str) -> None:
    assert "Find by id" in (await operator.see("/ops/find", q=q)).text
    assert "Find by id" in (await operator.see("/ops/find")).text
