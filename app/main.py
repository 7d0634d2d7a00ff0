"""The HTTP service: the wiring."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import structlog
from litestar import Litestar, Request, Response, Router, asgi
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, ControllerRouterHandler, Receive, Send

import metrics
from app import (
    chunks,
    erasures,
    errors,
    health,
    hold,
    ingest,
    ingest_errors,
    masking,
    message_errors,
    openapi,
    ops,
    ops_actions,
    ops_processes,
    ops_queues,
    ops_rates,
    ops_recording,
    ops_tenants,
    playback,
    recordings,
    relating,
    save_replay,
    sign_in,
    video,
)
from app.admission import say_limits
from app.assembly import assembled
from app.cors import Cors
from app.metrics import DeckMetrics, serve_metrics
from app.pages import faults, routes
from app.services import Services
from app.tracing import Tracing
from models import migrate
from models.db import Database, UnsafeServer, wait_for_server
from models.heartbeat import Heartbeat
from models.processes import Role
from settings import Settings
from storage.protocol import Storage
from traces import Traces

START_PATIENCE_S = 30

log = structlog.get_logger()


class CannotStart(Exception):
    """The service would not be safe, or not work at all. The message is one line for the operator."""


class Web:
    """The HTTP service, an ASGI application. Its lifespan begins and ends all that it needs."""

    def __init__(self, litestar: Litestar, services: Services, settings: Settings) -> None:
        self._litestar = litestar
        self._http = Tracing(
            Cors(_heads_as_gets(litestar), settings.cors_origins), services.metrics.request, services.traces
        )
        self._services = services

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._litestar(scope, receive, partial(_fail_in_one_line, send))
        else:
            await self._http(scope, receive, send)

    def stop_waiting(self) -> None:
        """Answer requests that wait for a change, now and from now on: a server that is told to stop should call it."""
        self._services.watcher.stop()
        self._services.streams.stop()


def create_app(settings: Settings, traces: Traces | None = None) -> Web:
    """The HTTP service, not running yet. Without `traces` the settings say whether there are any. Raises SettingsError."""
    services = assembled(settings, traces)
    api = Router(
        recordings.PATH,
        route_handlers=[
            *recordings.HANDLERS,
            *playback.HANDLERS,
            *video.HANDLERS,
            *hold.HANDLERS,
            *masking.HANDLERS,
            *relating.HANDLERS,
            *chunks.HANDLERS,
        ],
        tags=["Recordings"],
        security=openapi.SECURITY,
    )
    erasing = Router(
        erasures.PATH, route_handlers=erasures.HANDLERS, tags=["Erasures"], security=openapi.SECURITY
    )
    operating = Router(
        ops.PATH,
        route_handlers=[
            *ops.HANDLERS,
            *ops_actions.HANDLERS,
            *ops_queues.HANDLERS,
            *ops_processes.HANDLERS,
            *ops_rates.HANDLERS,
            *ops_recording.HANDLERS,
            *ops_tenants.HANDLERS,
        ],
        tags=["Operators"],
        security=openapi.SECURITY,
    )
    litestar = Litestar(
        route_handlers=[
            api,
            erasing,
            operating,
            save_replay.save_replay,
            ingest.ingest,
            *sign_in.HANDLERS,
            routes.WAY_IN,
            routes.PAGES,
            health.health,
            health.ready,
            serve_metrics,
            openapi.document,
            *_mounts(services.storage),
        ],
        exception_handlers={HTTPException: _answer, Exception: _answer},
        lifespan=[partial(_running, services=services)],
        openapi_config=openapi.CONFIG,
        before_send=[say_limits],
        logging_config=None,
        request_max_body_size=None,
    )
    litestar.state.services = services
    return Web(litestar, services, settings)


def _answer(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """What an exception becomes, in the style of the API that it came from."""
    path = request.scope["path"].rstrip("/")
    if path == save_replay.PATH:
        return message_errors.answer(request, error)
    if path.startswith(ingest.ROOT):
        return ingest_errors.answer(request, error)
    if routes.is_page(path):
        return faults.answer(request, error)
    return errors.answer(request, error)


@asynccontextmanager
async def _running(app: Litestar, services: Services) -> AsyncIterator[None]:
    """Clients and tasks, from start to stop. Raises CannotStart."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, services.traces.close)
        stack.push_async_callback(services.storage.close)
        stack.push_async_callback(services.db.close)
        await _check_start(services.db)
        stack.push_async_callback(services.redis.aclose)
        stack.push_async_callback(services.readiness.close)
        app.state.metrics = _deck_metrics(services)
        await stack.enter_async_context(services.figures)
        await stack.enter_async_context(services.throughput)
        await stack.enter_async_context(services.last_day)
        await stack.enter_async_context(services.last_days)
        stack.push_async_callback(services.shared.close)
        await stack.enter_async_context(metrics.watched_loop(services.metrics.registry))
        await stack.enter_async_context(services.doorbell)
        await stack.enter_async_context(services.watcher)
        stack.push_async_callback(services.rates.close)
        await stack.enter_async_context(services.pending)
        await stack.enter_async_context(Heartbeat(services.db, Role.WEB))
        yield


def _deck_metrics(services: Services) -> DeckMetrics:
    registry, pending, budget = services.metrics.registry, services.pending, services.budget
    metrics.Pools({"web": services.db.connections}, registry)
    bounds = {
        "tapedeck_pending_bytes": ("Payload that waits in Postgres.", lambda: pending.size),
        "tapedeck_pending_limit_bytes": ("Beyond it nothing is accepted.", lambda: pending.cap),
        "tapedeck_request_bodies_bytes": (
            "Decompressed bytes that requests hold.",
            lambda: budget.total - budget.free,
        ),
        "tapedeck_request_bodies_limit_bytes": ("Beyond it nothing is accepted.", lambda: budget.total),
    }
    return DeckMetrics(registry, services.figures, services.readiness.recent, bounds)


async def _check_start(db: Database) -> None:
    """Wait a while for Postgres, then insist that it is safe and has our schema. Redis and storage may be away."""
    head = await asyncio.to_thread(migrate.head)

    def waiting(error: Exception) -> None:
        log.warning("waiting_for_postgres", up_to_s=START_PATIENCE_S, error=_line(error))

    try:
        await wait_for_server(db, head=head, patience_s=START_PATIENCE_S, waiting=waiting)
    except UnsafeServer as error:
        raise CannotStart(str(error)) from None
    except Exception as error:
        raise CannotStart(f"DATABASE_URL: Postgres cannot be used: {_line(error)}") from None


def _mounts(storage: Storage) -> Sequence[ControllerRouterHandler]:
    return [asgi("/storage", is_mount=True, copy_scope=True)(storage.asgi)] if storage.asgi else []


def _heads_as_gets(app: Any) -> ASGIApp:
    """HEAD is GET without the body, which the server leaves out. Playback and signed URLs do less than a GET for it."""

    async def wrapped(scope: Any, receive: Receive, send: Send) -> None:
        own = scope["path"].startswith("/storage/") or scope["path"].endswith(("/events", "/logs"))
        if own or scope["method"] != "HEAD":
            await app(scope, receive, send)
            return
        as_get = {**scope, "method": "GET"}
        await app(as_get, receive, send)
        scope["path_template"] = as_get.get("path_template")

    return wrapped


async def _fail_in_one_line(send: Any, message: Any) -> None:
    """Litestar reports a failed start with its stack trace; an operator needs the reason."""
    if message["type"] == "lifespan.startup.failed":
        reason = re.search(rf"{CannotStart.__name__}: (.+)", message["message"])
        message["message"] = reason[1] if reason else message["message"]
    await send(message)


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
