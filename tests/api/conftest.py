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
from models.job import JobKind
from models.retry import Policy
from settings import Settings
from storage.open import open_storage
from storage.protocol import Storage
from tests.api.erasing import Hands
from tests.api.served import Served, served
from tests.api.tenants import new_tenant
from tests.api.videos import Videos
from tests.conftest import SECRET_KEY
from tests.factories import Deckhand, job_of
from tests.gcs_emulator import Emulator
from tests.models.steps import claimed
from tests.servers import Addresses
from workers.failures import failure_of
from workers.mask import mask
from workers.process import process
from workers.relate import relate
from workers.tools import Tools

Serve = Callable[..., Served]
Process = Callable[[UUID | str], Awaitable[None]]
MaskIt = Callable[[str], Awaitable[None]]


def _settings(database_url: str, redis_url: str, folder: Path) -> Settings:
    given = {"database_url": database_url, "redis_url": redis_url, "storage_url": f"file://{folder}"}
    return Settings(**given | {"secret_key": SECRET_KEY})


@pytest.fixture
def serve(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Serve]:
    """Start a service; keyword arguments change its settings."""
    with ExitStack() as running:

        def start(**settings: Any) -> Served:
            given = _settings(database_url, redis_url, tmp_path / "objects")
            return running.enter_context(served(given.model_copy(update=settings)))

        yield start


@pytest.fixture
async def hand(database: Database) -> Deckhand:
    """A tenant and its keys."""
    return await new_tenant(database)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The storage of `web`."""
    return tmp_path_factory.mktemp("web") / "objects"


@pytest.fixture(scope="session")
def _web(_cloned_url: str, servers: Addresses, _worker: str, folder: Path) -> Iterator[Served]:
    redis_url = servers.redis(int(_worker.removeprefix("gw")))
    with served(_settings(_cloned_url, redis_url, folder)) as web:
        yield web


@pytest.fixture
def web(database_url: str, redis_url: str, _web: Served) -> Served:
    """The service with its usual settings, on an empty database."""
    return _web


@pytest.fixture
async def storage(folder: Path) -> AsyncIterator[Storage]:
    """The storage of `web`."""
    storage = open_storage(f"file://{folder}", secret_key=SECRET_KEY, base_url="http://127.0.0.1:8000")
    yield storage
    await storage.close()


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
        tools = Tools(database, storage, put_deadline_s=60, max_events_bytes=1 << 30, max_video_bytes=1 << 30)
        try:
            await process(work, tools)
            if await job_of(database, work.claim.recording_id, JobKind.RELATE):
                work = await claimed(database, work.claim.recording_id, JobKind.RELATE)
                await relate(work, tools)
        except Exception as error:
            policy = Policy(max_attempts=1)
            await lifecycle.settle(
                database, work.claim.recording_id, work.claim.id, failure_of(error), policy
            )

    return run


@pytest.fixture
def mask_it(database: Database, storage: Storage) -> MaskIt:
    """Run the job of a recording that is to be masked, as a worker would."""

    async def run(path: str) -> None:
        job = await job_of(database, UUID(path.rpartition("/")[2]), JobKind.MASK)
        assert job
        work = await lifecycle.claim(database, job.id, worker="test", lease_s=60, put_deadline_s=60)
        assert work
        await mask(work, Tools(database, storage, 60, max_events_bytes=1 << 30, max_video_bytes=1 << 30))

    return run


@pytest.fixture
def hands(database: Database, storage: Storage) -> Hands:
    """Dispatcher and workers, as far as erasures need them, on the storage of `web`."""
    return Hands(database, storage)


@pytest.fixture(params=["local", "gcs"])
async def videos(
    request: pytest.FixtureRequest, serve: Serve, hand: Deckhand, database: Database, tmp_path: Path
) -> AsyncIterator[Videos]:
    """A service of its own, on either storage."""
    where: dict[str, Any] = {"storage_url": f"file://{tmp_path / 'objects'}"}
    if request.param == "gcs":
        emulator: Emulator = request.getfixturevalue("emulator")
        where = {"storage_url": emulator.storage_url, "storage_emulator_host": emulator.host}
    web = serve(**where)
    storage = open_storage(
        where["storage_url"],
        secret_key=SECRET_KEY,
        base_url=web.url,
        emulator_host=where.get("storage_emulator_host"),
    )
    tools = Tools(database, storage, put_deadline_s=60, max_events_bytes=1 << 30, max_video_bytes=1 << 30)
    async with web.client(hand.keys.api_key) as api, web.client(hand.keys.ingest_key) as ingest:
        yield Videos(api, ingest, tools)
    await storage.close()
