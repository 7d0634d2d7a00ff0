"""The line between clients and a deck, for tests of what lines do: an answer is lost, an upload stalls.

Faults are named by how a request begins, such as `PUT ` or `POST /api/v1/recordings HTTP`, and happen once.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Line:
    """A loopback port that leads to another. Set `port_there` once that is known."""

    def __init__(self) -> None:
        self.port_there = 0
        self.lost: list[str] = []
        """Requests that get through, but whose answer never arrives: the connection ends instead."""
        self.withheld: list[str] = []
        """The same, but the client is left to wait for it."""
        self.stalled: dict[str, int] = {}
        """Requests of which only so many bytes get through, for as long as their client waits."""
        self.has_stalled = asyncio.Event()
        """An upload has stalled, or an answer is withheld."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)

    async def close(self) -> None:
        self._server.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", self.port_there)
        except ConnectionRefusedError:
            writer.transport.abort()
            return
        call = _Call(self, writer, there[1])
        try:
            await asyncio.gather(call.requests(reader), call.answers(there[0]))
        finally:
            call.hang_up()


class _Call:
    def __init__(self, line: Line, here: asyncio.StreamWriter, there: asyncio.StreamWriter) -> None:
        self._line, self._here, self._there = line, here, there
        self._loses = self._withholds = False
        self._left: int | None = None  # bytes that still get through; None: all

    async def requests(self, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                self._begin(data)
                if self._left is not None:
                    data, self._left = data[: self._left], max(0, self._left - len(data))
                    if not self._left:
                        self._line.has_stalled.set()
                self._there.write(data)
                await self._there.drain()
        self.hang_up()

    async def answers(self, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while (data := await reader.read(1 << 16)) and not self._loses:
                if self._withholds:
                    self._line.has_stalled.set()
                else:
                    self._here.write(data)
                    await self._here.drain()
        self.hang_up()

    def _begin(self, data: bytes) -> None:
        """Whatever this request is to suffer; clients wait for an answer before they send the next one."""
        self._loses = self._loses or _taken(self._line.lost, data)
        self._withholds = self._withholds or _taken(self._line.withheld, data)
        for begins in [one for one in self._line.stalled if data.startswith(one.encode())]:
            self._left = self._line.stalled.pop(begins)

    def hang_up(self) -> None:
        self._here.transport.abort()
        self._there.transport.abort()


def _taken(faults: list[str], request: bytes) -> bool:
    """Whether this request is to suffer, from now on no other."""
    begins = next((one for one in faults if request.startswith(one.encode())), None)
    if begins is not None:
        faults.remove(begins)
    return begins is not None


@asynccontextmanager
async def line() -> AsyncIterator[Line]:
    """An open line."""
    made = Line()
    await made.open()
    try:
        yield made
    finally:
        await made.close()
