"""The client of `benchmarks.accept`: a process that sends one request over and over, and costs little itself.

Threads with a blocking socket each: a body goes out in one call that releases the interpreter, and of the answer only the
status and the length are read.
"""

import json
import socket
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

PIECE = 65536


class Load(NamedTuple):
    """What to send, where, and for how long. A connection that is busy when the time is up finishes its request."""

    port: int
    request: str  # a file with the whole request, head and body
    connections: int
    seconds: float


def main() -> None:
    """Run the load that the first argument describes; print the seconds it took and each request's latency."""
    load = Load(*json.loads(sys.argv[1]))
    request = Path(load.request).read_bytes()
    ready = threading.Barrier(load.connections + 1)
    latencies: list[float] = []
    refused: list[str] = []

    def work() -> None:
        with socket.create_connection(("127.0.0.1", load.port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ready.wait()
            until = time.perf_counter() + load.seconds
            while (began := time.perf_counter()) < until and not refused:
                connection.sendall(request)
                answer = _answer(connection)
                if not answer.startswith(b"HTTP/1.1 201"):
                    refused.append(answer[:2000].decode("latin-1"))
                latencies.append(time.perf_counter() - began)

    threads = [threading.Thread(target=work) for _ in range(load.connections)]
    for thread in threads:
        thread.start()
    ready.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    if refused:
        sys.exit(f"refused: {refused[0]}")
    print(json.dumps([time.perf_counter() - began, latencies]))


def _answer(connection: socket.socket) -> bytes:
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _more(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
    left = length - len(body)
    while left > 0:
        piece = _more(connection)
        left -= len(piece)
        answer += piece
    return answer


def _more(connection: socket.socket) -> bytes:
    if piece := connection.recv(PIECE):
        return piece
    raise ConnectionError("the server hung up")


if __name__ == "__main__":
    main()
