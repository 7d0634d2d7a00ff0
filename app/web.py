"""`tapedeck web`: the HTTP service, in this process, on HOST and PORT."""

import errno
import logging
import socket
from types import FrameType

import uvicorn

import logs
import settings
from app.exits import Exit
from app.main import Web, create_app

BACKLOG = 2048
GRACE_S = 8  # for requests in flight when it is told to stop


def command() -> None:
    """Serve the HTTP API on HOST and PORT until SIGTERM."""
    loaded = settings.load()
    logs.configure(loaded.log_format)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    listener = listen(loaded.host, loaded.port)
    web = create_app(loaded)
    config = uvicorn.Config(
        web,
        loop="uvloop",
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = Server(config, web)
    server.run(sockets=[listener])
    if not server.started:
        raise Exit("the service could not start", 1)


class Server(uvicorn.Server):
    """Answers the requests that wait for a change before it stops, so that it need not wait for them."""

    def __init__(self, config: uvicorn.Config, web: Web) -> None:
        super().__init__(config)
        self._web = web

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._web.stop_waiting()
        super().handle_exit(sig, frame)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises Exit."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Exit(f"port {port} of {host} is in use: set PORT to another", 2) from error
        raise Exit(f"cannot listen on {host} port {port}: {error.strerror}", 2) from error
