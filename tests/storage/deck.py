"""Storages as a deck has them, and their signed URLs as clients reach them: mounted in Litestar, or at the emulator."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from litestar import Litestar, asgi
from litestar.types import Receive, Scope, Send

from storage.directory import Directory
from storage.local_http import STALL_S, SignedUrlApp
from storage.open import open_storage
from storage.protocol import ASGIApp, Storage
from storage.signing import Grant, Signer

SECRET = "s" * 32
BASE_URL = "http://deck.test"
MAX_PUT = 1_000_000


def open_for_test(
    url: str,
    *,
    emulator_host: str | None = None,
    cors_origins: tuple[str, ...] = ("*",),
    max_put_bytes: int = MAX_PUT,
) -> Storage:
    """The storage, opened with what the tests know."""
    return open_storage(
        url,
        secret_key=SECRET,
        base_url=BASE_URL,
        emulator_host=emulator_host,
        cors_origins=cors_origins,
        max_put_bytes=max_put_bytes,
    )


def mounted(app: ASGIApp) -> Litestar:
    """The application at /storage, as the API mounts it."""

    @asgi("/storage", is_mount=True, copy_scope=True)
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)  # type: ignore[arg-type]

    return Litestar([serve], openapi_config=None, logging_config=None)


@asynccontextmanager
async def client_of(storage: Storage) -> AsyncIterator[httpx.AsyncClient]:
    """Follows the URLs that the storage signs."""
    if storage.asgi is None:
        async with httpx.AsyncClient(trust_env=False) as client:
            yield client
    else:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(mounted(storage.asgi))) as client:  # type: ignore[arg-type]
            yield client


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """The base URL of a real server that serves the application at /storage."""
    async with listening(mounted(app)) as base_url:
        yield base_url


@asynccontextmanager
async def listening(app: Any) -> AsyncIterator[str]:
    """The base URL of a real server with this ASGI application."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        await serving


def sign(
    method: str,
    name: str,
    *,
    expires_in_s: int = 60,
    max_bytes: int | None = None,
    content_type: str | None = None,
    secret: str = SECRET,
) -> str:
    """A URL that a deck might sign."""
    grant = Grant(method, name, int(time.time()) + expires_in_s, max_bytes, content_type)
    return Signer(secret, BASE_URL).url(grant)


def signed_url_app(root: Path, *, upload_deadline_s: float = 3600, stall_s: float = STALL_S) -> SignedUrlApp:
    """What serves the signed URLs of a directory, impatient if need be."""
    signer = Signer(SECRET, BASE_URL)
    return SignedUrlApp(Directory(root), signer, ["*"], upload_deadline_s=upload_deadline_s, stall_s=stall_s)


def assert_problem(response: httpx.Response, status: int, code: str) -> None:
    """The answer is an error that any browser may read."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == code
    assert response.headers["access-control-allow-origin"] == "*"
