"""The service under uvicorn, in a thread of the test's own process, on a free loopback port."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import httpx
import uvicorn

from app.main import Web, create_app
from app.web import listen
from settings import Settings


class DidNotStart(Exception):
    """The service refused to start; the message is what it said."""


@dataclass(frozen=True)
class Served:
    """A running service."""

    host: str
    port: int
    stop: Callable[[], None]
    free_bytes: Callable[[], int]  # of the budget that all bodies share

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def client(self, key: str | None = None) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60, trust_env=False)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, app: Web) -> None:
        super().__init__(config)
        self.decided = threading.Event()
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            await super().startup(sockets)
        finally:
            self.decided.set()

    def stop(self) -> None:
        self.should_exit = True
        with suppress(RuntimeError):  # it never started
            self._loop.call_soon_threadsafe(self._app.stop_waiting)


@contextmanager
def served(settings: Settings) -> Iterator[Served]:
    """Serve until the block ends. Raises DidNotStart."""
    app = create_app(settings)
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(
        app, http="httptools", ws="none", log_config=None, proxy_headers=False, timeout_graceful_shutdown=2
    )
    server = _Server(config, app)

    def serve() -> None:
        with suppress(SystemExit):  # it did not start
            asyncio.run(server.serve([listener]))

    thread = threading.Thread(target=serve, name="served")
    thread.start()
    server.decided.wait()
    try:
        if not server.started:
            raise DidNotStart
        yield Served("127.0.0.1", listener.getsockname()[1], server.stop, lambda: app._services.budget.free)
    finally:
        server.stop()
        thread.join()
        listener.close()
