"""Workers whose jobs do nothing: what is left is what a job costs. Started by `benchmarks.jobs`.

dramatiq benchmarks.empty_jobs:tapedeck     Tapedeck's own worker; its purge is replaced by an empty job
dramatiq benchmarks.empty_jobs:bare         Dramatiq as it comes, with an actor that passes
python -m benchmarks.empty_jobs             Procrastinate as it comes, with a task that passes
"""

import asyncio
import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from procrastinate import App, PsycopgConnector

import workers.main
from models import ledger
from models.job import JobKind
from models.lifecycle import Work
from workers.runner import JOBS
from workers.tools import Tools

CONCURRENCY = 8
NAME = "empty"


async def _finish(work: Work, tools: Tools) -> None:
    """What a job must do that has no effects: claimed and leased like any other, it commits that it is done."""
    async with tools.db.autocommit() as connection:
        await ledger.finish(connection, work.claim)


def tapedeck() -> None:
    """For the Dramatiq command."""
    JOBS[JobKind.PURGE] = _finish
    workers.main.start()


def bare_broker(url: str) -> tuple[RedisBroker, "dramatiq.Actor[[], None]"]:
    """Dramatiq's own broker and middleware, and the actor that passes."""
    broker = RedisBroker(url=url)  # type: ignore[no-untyped-call]

    def nothing() -> None:
        pass

    return broker, dramatiq.actor(nothing, actor_name=NAME, queue_name=NAME, broker=broker)


def bare() -> None:
    """For the Dramatiq command."""
    dramatiq.set_broker(bare_broker(os.environ["REDIS_URL"])[0])


def procrastinate_app(url: str) -> App:
    """Procrastinate with a task that passes, and a connection for each task that runs and for the worker itself."""
    app = App(connector=PsycopgConnector(conninfo=url, max_size=CONCURRENCY + 2))

    @app.task(name=NAME)
    async def nothing() -> None:
        pass

    return app


async def _procrastinate() -> None:
    async with procrastinate_app(os.environ["DATABASE_URL"]).open_async() as app:
        await app.run_worker_async(concurrency=CONCURRENCY)


if __name__ == "__main__":
    asyncio.run(_procrastinate())
