"""Pages that keep themselves up to date: the stream says what changed, over HTTP."""

from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import text

from models.db import Database
from tests.api.operators import dead, job_id
from tests.api.pages.visitor import Visitor
from tests.factories import Deckhand

EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.pages.failures.EVERY_S", 0.1)


async def events(answer: httpx.Response) -> AsyncIterator[str]:
    """What the stream says, event by event."""
    said: list[str] = []
    async for line in answer.aiter_lines():
        if line:
            said.append(line)
        elif said:
            yield "\n".join(said)
            said = []


async def test_the_list_of_jobs_is_sent_again_when_one_dies(
    operator: Visitor, database: Database, hand: Deckhand
) -> None:
    async with operator.client.stream("GET", "/ops/jobs?state=dead", headers=EVENTS) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        said = events(answer)
        assert "No dead job matches." in await anext(said)
        (recording,) = await dead(database, hand)
        row = f'id="job-{await job_id(database, recording)}"'
        async for event in said:
            if row in event:
                break
        assert "<html" not in event


async def test_failures_are_counted_anew(operator: Visitor, database: Database, hand: Deckhand) -> None:
    async with operator.client.stream("GET", "/ops/failures", headers=EVENTS) as answer:
        said = events(answer)
        assert "Nothing failed." in await anext(said)
        await dead(database, hand, 2)
        async for event in said:
            if "<dt>jobs</dt><dd>2</dd>" in event:
                break


async def test_a_job_that_goes_while_one_looks_is_told(
    operator: Visitor, database: Database, hand: Deckhand
) -> None:
    (recording,) = await dead(database, hand)
    path = f"/ops/jobs/{await job_id(database, recording)}"
    async with operator.client.stream("GET", path, headers=EVENTS) as answer:
        said = events(answer)
        assert "It died of" in await anext(said)
        async with database.transaction() as session:
            await session.execute(text("DELETE FROM job"))
        async for event in said:
            if event.startswith("event: away"):
                break
        assert "There is no such job." in event


async def test_what_cannot_be_asked_for_is_no_stream(operator: Visitor) -> None:
    answer = await operator.client.get("/ops/jobs?kind=nothing", headers=EVENTS)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("text/html")
