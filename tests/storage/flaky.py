"""A TCP proxy before a real server, which has faults on demand: one for each connection, then none."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answers:
    """The connection's request is answered with this status, and does not reach the server."""

    status: int


@dataclass(frozen=True)
class LosesAnswer:
    """The request reaches the server, but no more than this many bytes of the answer come back."""

    after: int = 0


@dataclass
class Flaky:
    """Where the proxy listens, and the faults that its next connections will have."""

    host: str
    faults: deque[Answers | LosesAnswer] = field(default_factory=deque)


@asynccontextmanager
async def flaky_proxy(upstream: str, port: int = 0) -> AsyncIterator[Flaky]:
    """A proxy before the server at `upstream` (http://host:port); at a free port unless told which."""
    there = urlsplit(upstream)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = flaky.faults.popleft() if flaky.faults else None
        if isinstance(fault, Answers):
            await reader.readuntil(b"\r\n\r\n")
            head = f"HTTP/1.1 {fault.status} Fault\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            writer.write(head.encode())
            writer.close()
            return
        up_reader, up_writer = await asyncio.open_connection(there.hostname, there.port)
        ways = [
            asyncio.create_task(_copy(reader, up_writer, None)),
            asyncio.create_task(_copy(up_reader, writer, fault.after if fault else None)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for end in (writer, up_writer):
                end.close()

    connections: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", port)
    flaky = Flaky(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server:
        yield flaky
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            if limit is not None and len(data) > limit:
                writer.write(data[:limit])
                return
            limit = limit if limit is None else limit - len(data)
            writer.write(data)
            await writer.drain()
