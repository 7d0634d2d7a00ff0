"""Probes: one that hangs is one that failed, and there is never a second beside it."""

from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from models import breakers
from models.breakers import BreakerState, Dependency
from models.db import Database
from storage.open import open_storage
from storage.protocol import Storage
from tests.conftest import SECRET_KEY
from tests.gcs_emulator import Emulator
from workers import probes
from workers.probes import Prober

STORAGE = Dependency.STORAGE


def bucket_at(emulator: Emulator, url: str) -> Storage:
    return open_storage(url, secret_key=SECRET_KEY, base_url="http://127.0.0.1", emulator_host=emulator.host)


@pytest.fixture
async def bucket(emulator: Emulator) -> AsyncIterator[Storage]:
    storage = bucket_at(emulator, emulator.storage_url)
    yield storage
    await storage.close()


async def state(db: Database) -> BreakerState:
    async with db.transaction() as session:
        (found,) = await breakers.all_of(session)
    return found.state


async def test_a_storage_that_hangs_is_away_and_found_when_it_answers(
    database: Database, emulator: Emulator, bucket: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "PATIENCE_S", 0.1)
    monkeypatch.setattr(breakers, "PROBE_S", 0.0)
    prober = Prober(database, bucket, longest_s=60)
    await breakers.suspect(database, STORAGE, "no answer")
    with capture_logs() as logs:
        emulator.freeze()
        try:
            for _ in range(3):
                await prober.probe()
            assert len(prober._running) == 1
            assert await state(database) is BreakerState.OPEN
        finally:
            emulator.thaw()
        while await state(database) is not BreakerState.CLOSED:
            await prober.probe()
    assert [one["event"] for one in logs] == ["breaker_opened", "breaker_closed"]


async def test_a_storage_that_says_no_is_there(database: Database, emulator: Emulator) -> None:
    absent = bucket_at(emulator, "gs://no-such-bucket")
    await breakers.suspect(database, STORAGE, "refused")
    await Prober(database, absent, longest_s=60).probe()
    assert await state(database) is BreakerState.CLOSED
    await absent.close()
