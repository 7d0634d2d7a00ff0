"""An HTTP server that misbehaves to order: what no real deck can be made to do at the right moment."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import NamedTuple


class Asked(NamedTuple):
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Answer(NamedTuple):
    """What to say to it. `cut`: hang up after so many bytes of the body; -1: without a word."""

    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes = b""
    cut: int | None = None


LOST = Answer(cut=-1)


@contextmanager
def serving(*answers: Answer, port: int = 0) -> Iterator[tuple[str, list[Asked]]]:
    """The URL of a server that gives these answers, one after the other, and the requests that it got."""
    asked: list[Asked] = []
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(iter(answers), asked.append))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(answers: Iterator[Answer], note: Callable[[Asked], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            note(Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            answer = next(answers)
            self.close_connection = answer.cut is not None
            if answer.cut == -1:
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body[: answer.cut])

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 (http.server looks for these names)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name in http.server)
            pass

    return Handler
