"""A light client that reads answers and throws them away: `python -m benchmarks.read_load LOAD`, a process of its own.

Each connection is a thread that asks, reads to the end, and asks again, until the time is up; what began in time is read to
its end. Says as JSON: seconds taken, the seconds of each request, bytes of an answer.
"""

import json
import socket
import sys
import threading
import time
from typing import NamedTuple

BUFFER_BYTES = 1 << 20


class Load(NamedTuple):
    """What is asked, how often at once, and for how long."""

    port: int
    path: str
    headers: dict[str, str]
    connections: int
    seconds: float


def main() -> None:
    load = Load(*json.loads(sys.argv[1]))
    head = "".join(f"{name}: {value}\r\n" for name, value in load.headers.items())
    asked = f"GET {load.path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}\r\n".encode()
    latencies: list[float] = []
    sizes: set[int] = set()
    failures: list[str] = []
    began = time.perf_counter()

    def work() -> None:
        buffer = bytearray(BUFFER_BYTES)
        try:
            while (asked_at := time.perf_counter()) < began + load.seconds:
                sizes.add(_read(load.port, asked, buffer))
                latencies.append(time.perf_counter() - asked_at)
        except Exception as error:
            failures.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=work) for _ in range(load.connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit(failures[0])
    print(json.dumps([time.perf_counter() - began, latencies, max(sizes)]))


def _read(port: int, asked: bytes, buffer: bytearray) -> int:
    """The bytes of one answer, its head included."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(asked)
        size = connection.recv_into(buffer)
        if not buffer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(bytes(buffer[: min(size, 300)]))
        while got := connection.recv_into(buffer):
            size += got
        return size


if __name__ == "__main__":
    main()
