"""The client of `benchmarks.accept`: a process that sends one request over and over, and costs little itself.

Threads with a blocking socket each: a body goes out in one call that releases the interpreter, and of the answer only the
status and the length are read. Other clients have other requests to send (`drive`).
"""

import json
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import repeat
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
    """Run the load that the first argument describes; print what `drive` says."""
    load = Load(*json.loads(sys.argv[1]))
    request = Path(load.request).read_bytes()
    drive(load.port, [repeat(request)] * load.connections, load.seconds)


def drive(port: int, connections: Sequence[Iterator[bytes]], seconds: float) -> None:
    """Send the requests of each connection, one after the other, until there are no more or the time is up.

    Prints the seconds it took, each request's latency, and the seconds of processor time that this process has used.
    """
    ready = threading.Barrier(len(connections) + 1)
    latencies: list[float] = []
    refused: list[str] = []

    def work(requests: Iterator[bytes]) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ready.wait()
            until = time.perf_counter() + seconds
            for request in requests:
                if (began := time.perf_counter()) >= until or refused:
                    break
                connection.sendall(request)
                answer = _answer(connection)
                if not answer.startswith(b"HTTP/1.1 20"):
                    refused.append(answer[:2000].decode("latin-1"))
                latencies.append(time.perf_counter() - began)

    threads = [threading.Thread(target=work, args=(requests,)) for requests in connections]
    for thread in threads:
        thread.start()
    ready.wait()
    began, used = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.join()
    if refused:
        sys.exit(f"refused: {refused[0]}")
    print(json.dumps([time.perf_counter() - began, latencies, time.process_time() - used]))


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
