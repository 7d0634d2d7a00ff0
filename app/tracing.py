"""A request's id, its span and its line in the log, as the outermost ASGI layer.

The id is on every answer as `X-Request-Id` and on every log line of the request; a UUID that the client sends is taken
over. Paths are logged without their query, which may hold a key.
"""

import time
from collections.abc import Callable
from uuid import UUID

import structlog
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from models.ids import new_id
from traces import Note, Traces

PROBES = frozenset({"/health", "/ready", "/metrics"})
FAILED = 500

log = structlog.get_logger()


class Tracing:
    """Names, times and logs each request. `count` hears its method, the route it matched, status (0: none) and seconds."""

    def __init__(
        self, app: ASGIApp, count: Callable[[str, str | None, int, float], None], traces: Traces
    ) -> None:
        self._app = app
        self._count = count
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
        elif scope["path"] in PROBES:
            await self._traced(scope, receive, send, Note())
        else:
            method = scope["method"]
            with self._traces.span(method, "SERVER", parent=_traceparent(scope)) as note:
                await self._traced(scope, receive, send, note)

    async def _traced(self, scope: HTTPScope, receive: Receive, send: Send, note: Note) -> None:
        request_id = str(_sent_id(scope) or new_id())
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        began, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                headers = MutableScopeHeaders.from_message(message)
                headers["x-request-id"] = request_id
                headers["x-content-type-options"] = "nosniff"
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            if not status:
                raise
            # Returning without the end of the body makes the server close the connection: the client sees it is cut.
            log.error("answer_cut_short", error=_told(error))
        finally:
            took_s = time.perf_counter() - began
            self._count(scope["method"], scope.get("path_template"), status, took_s)
            _describe(note, scope, status, request_id)
            log.info(
                "request",
                method=scope["method"],
                path=scope["raw_path"].decode("ascii", "backslashreplace"),  # as sent: no control characters
                status=status,
                ms=round(took_s * 1000, 1),
            )


def _describe(note: Note, scope: HTTPScope, status: int, request_id: str) -> None:
    """As OpenTelemetry's conventions have it for HTTP servers."""
    route = scope.get("path_template")
    if route is not None:
        note.rename(f"{scope['method']} {route or '/'}")
        note.tell(http__route=route or "/")
    note.tell(
        http__request__method=scope["method"],
        http__response__status_code=status,
        tapedeck__request_id=request_id,
    )
    if status >= FAILED:
        note.failed(str(status))


def _traceparent(scope: HTTPScope) -> str | None:
    """The span of the client's that this request is in."""
    value = next((value for name, value in scope["headers"] if name == b"traceparent"), b"")
    return value.decode("ascii", "replace") or None


def _sent_id(scope: HTTPScope) -> UUID | None:
    value = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    try:
        return UUID(value.decode("ascii"))
    except ValueError:
        return None


def _told(error: BaseException) -> str:
    cause = error.__cause__ or error
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    return f"{type(cause).__name__}: {str(cause)[:300]}"
