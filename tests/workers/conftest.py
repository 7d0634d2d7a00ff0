"""What the tests of workers/ share."""

from pathlib import Path

import pytest

from models.db import Database
from settings import Settings
from storage.protocol import Storage
from tests.conftest import SECRET_KEY
from tests.factories import Deckhand, first_tenant
from workers.tools import Tools


@pytest.fixture
async def hand(database: Database, database_url: str) -> Deckhand:
    """The first tenant."""
    return await first_tenant(database, database_url)


@pytest.fixture
def config(database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    """Settings of a deck in a hurry."""
    given = {"database_url": database_url, "redis_url": redis_url, "storage_url": f"file://{tmp_path}"}
    hurry = {"poll_s": 0.05, "sweep_s": 0.05, "backoff_s": 0.01, "backoff_max_s": 0.01}
    return Settings(**given | hurry | {"secret_key": SECRET_KEY})


@pytest.fixture
def tools(database: Database, storage: Storage) -> Tools:
    """What the jobs use, on a local storage."""
    return Tools(database, storage, put_deadline_s=10, max_events_bytes=2**30, max_video_bytes=2**30)
