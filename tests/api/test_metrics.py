"""GET /metrics of the web process."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
from sqlalchemy import text

from models.db import Database
from models.processes import Role
from tests.api.conftest import Serve
from tests.exposition import scraped
from tests.factories import Deckhand, a_process, accepted, upload

UPLOAD = {"source": "upload"}


async def test_anybody_may_scrape_and_learns_nothing_of_a_tenant(
    anyone: httpx.AsyncClient, api: httpx.AsyncClient, hand: Deckhand, database_url: str
) -> None:
    answer = await api.get(f"/api/v1/recordings?cursor=secret&project_id={hand.api_key.project_id}")
    request_id = answer.headers["X-Request-Id"]
    exposed = (await anyone.get("/metrics")).text
    secrets = [hand.keys.api_key, str(hand.tenant_id), str(hand.api_key.project_id), request_id, database_url]
    assert not [secret for secret in [*secrets, "secret", "postgresql://"] if secret in exposed]


async def test_requests_are_counted_by_the_route_that_they_matched(
    anyone: httpx.AsyncClient, api: httpx.AsyncClient
) -> None:
    route = {"route": "/api/v1/recordings/{recording_id}", "status": "4xx"}
    before = await scraped(anyone)
    for _ in range(3):
        await api.get(f"/api/v1/recordings/{uuid4()}")
    await api.head(f"/api/v1/recordings/{uuid4()}")
    await anyone.get(f"/{uuid4()}")
    await anyone.request("PROPFIND", "/health")
    after = await scraped(anyone)

    def more(**labels: str) -> float:
        name = "tapedeck_http_request_duration_seconds_count"
        return after.value(name, **labels) - before.value(name, **labels)

    assert more(method="GET", **route) == 3
    assert more(method="HEAD", **route) == 1
    assert more(method="GET", route="none", status="4xx") == 1
    assert (
        more(method="other", route="/health", status="4xx") + more(method="other", route="none", status="4xx")
        == 1
    )


async def test_what_was_accepted_is_counted_once(
    anyone: httpx.AsyncClient, ingest: httpx.AsyncClient
) -> None:
    before = await scraped(anyone)
    body = upload()
    for _ in range(2):
        answer = await ingest.post("/api/v1/recordings", content=body, headers={"Idempotency-Key": "one"})
        assert answer.status_code in (200, 201)
    after = await scraped(anyone)
    counted = ("tapedeck_recordings_accepted_total", "tapedeck_accepted_bytes_total")
    assert [after.value(name, **UPLOAD) - before.value(name, **UPLOAD) for name in counted] == [1, len(body)]


async def test_the_figures_of_the_deck_come_from_the_database(
    serve: Serve, hand: Deckhand, database: Database
) -> None:
    await accepted(database, hand)
    async with database.transaction() as session:
        gone = a_process(Role.WORKER, name="gone")
        gone.heartbeat_at = datetime.now(UTC) - timedelta(minutes=2)
        session.add_all([gone, a_process(Role.WORKER)])
        await session.execute(text("INSERT INTO broken_hour VALUES (date_trunc('hour', now()), 3, '{}')"))
    async with serve().client() as client:
        samples = await scraped(client)
        assert samples.value("tapedeck_conservation_broken_hours") == 1
        assert samples.value("tapedeck_conservation_missing_recordings") == 3
        assert samples.value("tapedeck_jobs", kind="process", state="due") == 1
        assert samples.value("tapedeck_jobs", kind="process", state="dead") == 0
        for name in ("jobs_oldest_due_age", "ring_lag", "oldest_unfinished_age"):
            assert samples.value(f"tapedeck_{name}_seconds", kind="process") > 0
            assert samples.value(f"tapedeck_{name}_seconds", kind="purge") == 0
        assert samples.value("tapedeck_dependency_up", dependency="storage") == 1
        assert samples.value("tapedeck_processes", role="worker") == 1
        assert samples.value("tapedeck_processes", role="dispatcher") == 0
        assert samples.value("tapedeck_database_sessions", process="dispatcher") == 0
        assert samples.value("tapedeck_database_sessions", process="web") >= 1
