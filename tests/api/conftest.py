"""A running service for each test, on the test's own database and storage, and the clients of its first tenant."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from models import lifecycle
from models.db import Database
from models.retry import Policy
from settings import Settings
from storage.protocol import Storage
from tests.api.served import Served, served
from tests.conftest import SECRET_KEY
from tests.factories import Deckhand, first_tenant, job_of
from workers.failures import failure_of
from workers.process import process
from workers.tools import Tools

Serve = Callable[..., Served]
Process = Callable[[UUID | str], Awaitable[None]]


@pytest.fixture
def serve(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Serve]:
    """Start a service; keyword arguments change its settings."""
    with ExitStack() as running:

        def start(**settings: Any) -> Served:
            given = {
                "database_url": database_url,
                "redis_url": redis_url,
                "storage_url": f"file://{tmp_path / 'objects'}",
                "secret_key": SECRET_KEY,
            }
            return running.enter_context(served(Settings(**given | settings)))

        yield start


@pytest.fixture
async def hand(database: Database, database_url: str) -> Deckhand:
    """The first tenant and its keys."""
    return await first_tenant(database, database_url)


@pytest.fixture
def web(serve: Serve) -> Served:
    """The service with its usual settings."""
    return serve()


@pytest.fixture
async def api(web: Served, hand: Deckhand) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose key may create, read and manage."""
    async with web.client(hand.keys.api_key) as client:
        yield client


@pytest.fixture
async def ingest(web: Served, hand: Deckhand) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose key may only create."""
    async with web.client(hand.keys.ingest_key) as client:
        yield client


@pytest.fixture
async def anyone(web: Served) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    async with web.client() as client:
        yield client


@pytest.fixture
def process_it(database: Database, storage: Storage) -> Process:
    """Run the job of a recording that was accepted, as a worker would."""

    async def run(recording_id: UUID | str) -> None:
        job = await job_of(database, UUID(str(recording_id)))
        assert job
        work = await lifecycle.claim(database, job.id, worker="test", lease_s=60, put_deadline_s=60)
        assert work
        tools = Tools(database, storage, put_deadline_s=60, max_events_bytes=1 << 30)
        try:
            await process(work, tools)
        except Exception as error:
            policy = Policy(max_attempts=1)
            await lifecycle.settle(
                database, work.claim.recording_id, work.claim.id, failure_of(error), policy
            )

    return run
