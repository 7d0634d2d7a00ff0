"""The HTTP service: the wiring."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import structlog
from litestar import Litestar, Router, asgi
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, ControllerRouterHandler

from app import health, openapi, playback, recordings
from app.budget import ByteBudget
from app.cors import Cors
from app.errors import answer
from app.services import BodyLimits, Services
from app.tracing import Tracing
from app.waiting import Watcher
from models import migrate, queries
from models.db import Database, UnsafeServer, check_server, is_away
from models.doorbell import Doorbell, connect
from settings import Settings, SettingsError
from storage.open import open_storage
from storage.protocol import Storage, StorageError

POOL_SIZE = 20
DATABASE_LIMIT_S = 15
START_PATIENCE_S = 30
START_PAUSE_S = 0.5

log = structlog.get_logger()


class CannotStart(Exception):
    """The service would not be safe, or not work at all. The message is one line for the operator."""


def create_app(settings: Settings) -> ASGIApp:
    """The HTTP service as an ASGI application. Its lifespan opens and closes all clients. Raises SettingsError."""
    try:
        storage = open_storage(
            settings.storage_url,
            secret_key=settings.secret_key,
            base_url=settings.base_url,
            emulator_host=settings.storage_emulator_host,
            cors_origins=settings.cors_origins,
        )
    except StorageError as error:
        raise SettingsError(f"STORAGE_URL: {error}") from None
    api = Router(
        recordings.PATH,
        route_handlers=[*recordings.HANDLERS, playback.read_events, playback.read_logs],
        tags=["Recordings"],
        security=openapi.SECURITY,
    )
    litestar = Litestar(
        route_handlers=[api, health.health, health.ready, openapi.document, *_mounts(storage)],
        exception_handlers={HTTPException: answer, Exception: answer},
        lifespan=[partial(_running, settings=settings, storage=storage)],
        openapi_config=openapi.CONFIG,
        logging_config=None,
        request_max_body_size=None,
    )
    return Tracing(Cors(_failing_in_one_line(litestar), settings.cors_origins))


@asynccontextmanager
async def _running(app: Litestar, settings: Settings, storage: Storage) -> AsyncIterator[None]:
    """Clients and tasks, from start to stop. Raises CannotStart."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(storage.close)
        db = Database(
            settings.database_url, pool_size=POOL_SIZE, limit_s=DATABASE_LIMIT_S, application="tapedeck-web"
        )
        stack.push_async_callback(db.close)
        await _check_start(db)
        redis = connect(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        readiness = health.Readiness({"database": db.ping, "redis": redis.ping, "storage": storage.check})
        stack.push_async_callback(readiness.close)
        app.state.readiness = readiness
        app.state.services = Services(
            db=db,
            storage=storage,
            doorbell=await stack.enter_async_context(Doorbell(settings.redis_url)),
            watcher=await stack.enter_async_context(Watcher(partial(queries.statuses, db))),
            budget=ByteBudget(settings.inflight_budget_bytes),
            limits=BodyLimits(settings.max_body_bytes, settings.max_events_bytes, settings.body_stall_s),
        )
        yield


async def _check_start(db: Database) -> None:
    """Wait a while for Postgres, then insist that it is safe and has our schema. Redis and storage may be away."""
    loop = asyncio.get_running_loop()
    until = loop.time() + START_PATIENCE_S
    head = await asyncio.to_thread(migrate.head)
    while True:
        try:
            await check_server(db, head=head)
            return
        except UnsafeServer as error:
            raise CannotStart(str(error)) from None
        except Exception as error:
            reason = f"DATABASE_URL: Postgres cannot be used: {_line(error)}"
            if not is_away(error) or loop.time() >= until:
                raise CannotStart(reason) from None
            log.warning("waiting_for_postgres", error=_line(error))
            await asyncio.sleep(START_PAUSE_S)


def _mounts(storage: Storage) -> Sequence[ControllerRouterHandler]:
    if storage.asgi is None:
        return []
    return [asgi("/storage", is_mount=True, copy_scope=True)(storage.asgi)]


def _failing_in_one_line(app: Litestar) -> Any:
    """Litestar reports a failed start with its stack trace; an operator needs the reason."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        async def send_plainly(message: Any) -> None:
            if message["type"] == "lifespan.startup.failed":
                message["message"] = message["message"].strip().rpartition("\n")[2]
            await send(message)

        await app(scope, receive, send_plainly)

    return wrapped


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
