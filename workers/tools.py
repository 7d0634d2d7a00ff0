"""What a job may use. Built once per process, in its event loop, and closed there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from models.db import Database, wait_for_server
from models.live import DEFAULT_TERMS, LiveTerms
from models.migrate import head
from settings import Settings
from storage.open import open_storage
from storage.protocol import Storage
from traces import Traces
from workers.failures import NoTurn

LIMIT_SHARE_OF_LEASE = 0.5
START_PATIENCE_S = 20
TURN_SHARE_OF_TIMEOUT = 0.5


@dataclass(frozen=True)
class Tools:
    """Database, storage and limits.

    `planning` lets one job at a time hold a whole recording in memory; a job waits for it at most `turn_s` seconds.
    `masking` lets one `mask` at a time wait for that: others that come meanwhile are behind no more than one of these.
    `relating` lets one job at a time make rows: two would only take turns at the interpreter.
    `inspecting` lets one job at a time have a video looked at by a child process.
    """

    db: Database
    storage: Storage
    put_deadline_s: float
    max_events_bytes: int
    max_video_bytes: int
    live: LiveTerms = DEFAULT_TERMS
    job_timeout_s: float = 600
    planning: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    masking: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    relating: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    inspecting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    traces: Traces = field(default_factory=Traces)

    @property
    def turn_s(self) -> float:
        return self.job_timeout_s * TURN_SHARE_OF_TIMEOUT

    @asynccontextmanager
    async def turn(self, taken: asyncio.Semaphore) -> AsyncIterator[None]:
        """A job's turn at one of these. Raises NoTurn: what others take, or one that hangs, must not count against it."""
        try:
            async with asyncio.timeout(self.turn_s):
                await taken.acquire()
        except TimeoutError:
            raise NoTurn from None
        try:
            yield
        finally:
            taken.release()


async def check_start(db: Database) -> None:
    """Wait a while for Postgres, then insist that it is safe and has our schema. Raises UnsafeServer, or why it is away."""
    await wait_for_server(db, head=head(), patience_s=START_PATIENCE_S)


@asynccontextmanager
async def open_tools(
    settings: Settings, *, pool_size: int, application: str, traces: Traces | None = None
) -> AsyncIterator[Tools]:
    """The tools of this process, until the block ends."""
    db = Database(
        settings.database_url,
        pool_size=pool_size,
        limit_s=settings.lease_s * LIMIT_SHARE_OF_LEASE,
        application=application,
    )
    storage = open_storage(
        settings.storage_url,
        secret_key=settings.secret_key,
        base_url=settings.base_url,
        emulator_host=settings.storage_emulator_host,
        upload_deadline_s=settings.upload_deadline_s,
    )
    try:
        yield Tools(
            db,
            storage,
            settings.put_deadline_s,
            settings.max_events_bytes,
            settings.max_video_bytes,
            LiveTerms(settings.session_idle_s, settings.session_max_s, settings.session_max_bytes),
            settings.job_timeout_s,
            traces=traces or Traces(),
        )
    finally:
        await storage.close()
        await db.close()
