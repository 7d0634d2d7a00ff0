"""Pages that keep themselves up to date: the stream, its end, and what ends it."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files

import httpx
import pytest
from sqlalchemy import text

from app import shared, streams
from app.pages import page as pages
from models.db import Database
from models.tenancy import Scope
from tests.api.pages.visitor import Visitor
from tests.api.served import Served
from tests.factories import Deckhand, accepted

STREAM = {"Accept": "text/event-stream", "HX-Request": "true"}


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "LIVE_S", 0.1)


class Stream:
    """A stream as it comes in."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def event(self, name: str = "") -> str:
        """The data of the next event of this name."""
        found, data = "", []
        async for line in self._lines:
            if line.startswith("event:"):
                found = line[6:].strip()
            elif line.startswith("data:"):
                data.append(line[5:].removeprefix(" "))
            elif not line and data:
                if found == name:
                    return "\n".join(data)
                found, data = "", []
        raise AssertionError(f"the stream ended before {name!r}")

    async def until(self, wanted: str) -> str:
        while wanted not in (data := await self.event()):
            pass
        return data

    async def nothing_new(self) -> str:
        """Wait until it says that what was sent is still so. Returns what was sent before that."""
        data = []
        async for line in self._lines:
            if line == ": nothing new":
                break
            data.append(line)
        return "\n".join(data)

    async def ended(self) -> None:
        async for _ in self._lines:
            pass


@asynccontextmanager
async def stream(client: httpx.AsyncClient, path: str = "/ops", **headers: str) -> AsyncIterator[Stream]:
    async with client.stream("GET", path, headers=STREAM | headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        yield Stream(answer.aiter_lines())


async def test_what_changes_is_sent(operator: Visitor, database: Database, hand: Deckhand) -> None:
    async with stream(operator.client) as seen:
        first = await seen.event()
        assert 'id="queue-process"' in first
        assert "<html" not in first
        await accepted(database, hand)
        await seen.until('<b class="">1</b> accepted')


async def test_only_the_page_itself_is_kept_up_to_date(operator: Visitor) -> None:
    """Its links and forms ask for streams, too: hx-sse adds that to whatever is sent."""
    accept = {"Accept": "text/html, text/event-stream", "HX-Request": "true"}
    async with stream(operator.client, **accept, **{"HX-Source": "main#main"}) as seen:
        await seen.event()
    for source in ("body", "a", "form"):
        piece = await operator.client.get("/ops", headers=accept | {"HX-Source": source})
        assert piece.headers["Content-Type"].startswith("text/html")


async def test_viewers_of_a_page_share_looks(
    operator: Visitor, database: Database, hand: Deckhand, monkeypatch: pytest.MonkeyPatch
) -> None:
    await operator.send(await operator.see("/ops"), "/ops/refill")  # what was seen before is forgotten
    monkeypatch.setattr(shared, "FRESH_S", 3600)
    async with stream(operator.client) as one, stream(operator.client) as other:
        for seen in (one, other):
            await seen.event()
            await seen.nothing_new()
        await accepted(database, hand)
        for seen in (one, other, one, other):
            assert '<b class="">1</b> accepted' not in await seen.nothing_new()
        page = await operator.see("/ops")  # who comes now sees what is
        assert page.told("accepted", "conservation") == "1 accepted"
        await operator.send(page, "/ops/queues/process/pause")
        for seen in (one, other):  # and so do all when something was done
            await seen.until('<b class="">1</b> accepted')


async def test_forms_of_what_is_sent_count_and_each_time_another_proof_is_in_them(
    operator: Visitor, database: Database, hand: Deckhand
) -> None:
    async with stream(operator.client) as seen:
        first = await seen.event()
        await accepted(database, hand)
        proofs = [
            set(re.findall(r'name="csrf" value="([^"]+)"', html)) for html in (first, await seen.event())
        ]
    assert [len(one) for one in proofs] == [1, 1]
    assert proofs[0] != proofs[1]
    for (proof,) in proofs:
        answer = await operator.client.post("/ops/queues/mask/pause", data={"csrf": proof})
        assert answer.status_code == 303


async def test_a_look_that_takes_long_is_told_and_what_it_finds_is_sent(
    operator: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PATIENCE_S", 0.001)
    async with stream(operator.client) as seen:
        await seen.event()
        assert "no answer" in await seen.event("away")
        assert 'id="queue-process"' in await seen.event()


async def test_a_session_that_ends_ends_it(operator: Visitor, database: Database) -> None:
    async with stream(operator.client) as seen:
        await seen.event()
        async with database.transaction() as session:
            await session.execute(text("DELETE FROM sign_in_session"))
        await seen.event("signed-out")
        await seen.ended()
    async with stream(operator.client) as seen:  # a page that comes back later is told, too
        await seen.event("signed-out")
        await seen.ended()


async def test_an_operator_who_is_none_any_more_sees_no_more(operator: Visitor, database: Database) -> None:
    async with stream(operator.client) as seen:
        await seen.event()
        async with database.transaction() as session:
            await session.execute(text("UPDATE user_account SET scopes = :s"), {"s": [Scope.READ.value]})
        await seen.event("signed-out")


async def test_looking_is_no_use_of_a_session(operator: Visitor, database: Database) -> None:
    """Or a page that somebody left open would keep them signed in."""
    used = text("SELECT max(used_at) FROM sign_in_session")
    async with stream(operator.client) as seen:
        await seen.event()
        async with database.transaction() as session:
            await session.execute(text("UPDATE sign_in_session SET used_at = now() - interval '1 hour'"))
            before = (await session.execute(used)).scalar_one()
        for _ in range(3):
            await seen.event()
        async with database.transaction() as session:
            assert (await session.execute(used)).scalar_one() == before


async def test_a_stream_ends_when_the_process_stops(
    operator: Visitor, serve: object, database: Database
) -> None:
    own = serve()  # type: ignore[operator]
    async with (
        httpx.AsyncClient(base_url=own.url, cookies=operator.client.cookies, trust_env=False) as client,
        stream(client) as seen,
    ):
        await seen.event()
        own.stop()
        async with asyncio.timeout(10):
            await seen.ended()


async def test_too_many_streams_leave_the_page_as_it_is(
    operator: Visitor, web: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "STREAMS_MAX", 1)
    async with stream(operator.client) as seen:
        await seen.event()
        refused = await operator.client.get("/ops", headers=STREAM)
        assert refused.status_code == 503
        assert refused.text.startswith("event: away\r\ndata: Too many live pages are open.")
        assert (await operator.client.get("/ops")).status_code == 200
    status = 0
    while status != 200:  # soon there is room again
        async with operator.client.stream("GET", "/ops", headers=STREAM) as answer:
            status = answer.status_code


async def test_libraries_are_the_ones_that_are_named() -> None:
    folder = files("app.pages") / "static"
    named = dict(re.findall(r"^\| (\S+) \|.*\| ([0-9a-f]{64}) \|$", (folder / "README.md").read_text(), re.M))
    assert set(named) == {"htmx.min.js", "hx-sse.min.js", "uPlot.min.js", "uPlot.min.css"}
    for name, digest in named.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


async def test_assets_stay_with_browsers_and_come_compressed(
    operator: Visitor, anyone: httpx.AsyncClient
) -> None:
    html = (await operator.see("/ops")).html
    addresses = set(re.findall(r'"(/ops/static/[^"#]+)[#"]', html))
    assert len(addresses) >= 6
    for address in addresses:
        answer = await anyone.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
        plain = await anyone.get(address, headers={"Accept-Encoding": "identity"})
        assert plain.content == answer.content
    for wrong in ("/ops/static/nope.js", "/ops/static/README.md", "/ops/static/..%2fpage.py"):
        assert (await anyone.get(wrong)).status_code in (303, 404)


async def test_a_stream_is_compressed_event_by_event(operator: Visitor) -> None:
    async with operator.client.stream("GET", "/ops", headers=STREAM) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
    async with operator.client.stream(
        "GET", "/ops", headers=STREAM | {"Accept-Encoding": "identity"}
    ) as answer:
        assert "Content-Encoding" not in answer.headers
