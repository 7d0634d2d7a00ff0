"""A loopback server that answers with prepared zstd bodies, as the API answers with cuts."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Bodies(BaseHTTPRequestHandler):
    """GET /<name> gives the body of that name with `Content-Encoding: zstd`; GET / an empty page."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one packet, or each answer waits for a delayed acknowledgement
    bodies: Mapping[str, bytes] = {}

    def do_GET(self) -> None:
        body = self.bodies.get(self.path.removeprefix("/"), b"")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if self.path == "/":
            self.send_header("Content-Type", "text/html")
        else:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Encoding", "zstd")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is the base class's
        pass


@contextmanager
def serving(bodies: Mapping[str, bytes]) -> Iterator[str]:
    """Serve while the block runs; gives the base URL, without a trailing slash."""
    handler = type("Handler", (Bodies,), {"bodies": bodies})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
