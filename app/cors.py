"""Cross-origin requests (Fetch standard, 3.2), as an ASGI layer around everything, so that errors carry the headers too.

Credentials are never allowed: callers bring their key in a header. `/storage` answers for itself (storage.local_http).
"""

from collections.abc import Sequence

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

METHODS = "GET, HEAD, POST, PUT, DELETE"
EXPOSED = "Location, Retry-After, ETag, Idempotency-Replayed, Preference-Applied, X-Request-Id, RateLimit, RateLimit-Policy"
PREFLIGHT_MAX_AGE_S = 7200
ELSEWHERE = "/storage/"


class Cors:
    """Lets pages and extensions of these origins ("*": of all) use the API."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and not scope["path"].startswith(ELSEWHERE):
            await self._answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        request = dict(scope["headers"])
        origin = request.get(b"origin", b"").decode("latin-1")
        allowed = self._allowed(origin)
        wanted = request.get(b"access-control-request-method")
        if scope["method"] == "OPTIONS" and origin and wanted:
            asked = request.get(b"access-control-request-headers", b"").decode("latin-1")
            await _preflight(send, allowed, asked)
            return

        async def send_with_cors(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableScopeHeaders.from_message(message)
                _add(headers, allowed)
                if allowed.get("access-control-allow-origin"):
                    headers["access-control-expose-headers"] = EXPOSED
            await send(message)

        await self._app(scope, receive, send_with_cors)

    def _allowed(self, origin: str) -> dict[str, str]:
        if "*" in self._origins:
            return {"access-control-allow-origin": "*"}
        allow = {"access-control-allow-origin": origin} if origin in self._origins else {}
        return {"vary": "Origin", **allow}


async def _preflight(send: Send, allowed: dict[str, str], asked: str) -> None:
    headers = MutableScopeHeaders()
    _add(headers, allowed)
    if allowed.get("access-control-allow-origin"):
        headers["access-control-allow-methods"] = METHODS
        headers["access-control-max-age"] = str(PREFLIGHT_MAX_AGE_S)
        if asked:
            headers["access-control-allow-headers"] = asked
    await send({"type": "http.response.start", "status": 204, "headers": headers.headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _add(headers: MutableScopeHeaders, more: dict[str, str]) -> None:
    for name, value in more.items():
        if name == "vary" and headers.get("vary"):
            value = f"{headers['vary']}, {value}"
        headers[name] = value
