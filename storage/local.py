"""Storage in a local directory, with the semantics of a bucket. Content types are not kept."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from typing import BinaryIO

from storage.directory import Directory
from storage.local_http import SignedUrlApp
from storage.protocol import ASGIApp, NotFound, Refused, Stored, check_name, check_range
from storage.signing import Grant, Signer
from storage.source import CHUNK, Source


class LocalStorage:
    """Objects as files below `directory`; see `protocol.Storage`.

    A signed PUT may bring `max_put_bytes` at most. `asgi` answers browsers of the `cors_origins` ("*": all).
    """

    def __init__(
        self, directory: Directory, signer: Signer, *, max_put_bytes: int, cors_origins: Sequence[str]
    ) -> None:
        self._directory = directory
        self._signer = signer
        self._max_put_bytes = max_put_bytes
        self._app = SignedUrlApp(directory, signer, cors_origins)

    @property
    def asgi(self) -> ASGIApp:
        return self._app

    async def put(
        self, name: str, body: BinaryIO, *, size: int, crc32c: int, content_type: str, deadline_s: float
    ) -> Stored:
        source = Source(body, size=size, crc32c=crc32c, deadline_s=deadline_s)
        try:
            return await asyncio.to_thread(self._put, name, source)
        except asyncio.CancelledError:
            source.give_up()  # the thread runs on, but must not publish any more
            raise

    def _put(self, name: str, source: Source) -> Stored:
        check_name(name)
        with self._directory.draft() as draft:
            for chunk in source:
                draft.write(chunk)
            stored = draft.publish(name, replace=False, last_check=source.check_time)
        if stored is None:
            stored = self._directory.stat(name)
            if stored is None or (stored.size, stored.crc32c) != (source.size, source.crc32c):
                raise Refused(f"put: {name} already has other bytes")
            self._directory.sync(name)
        return stored

    async def stat(self, name: str) -> Stored | None:
        return await asyncio.to_thread(self._directory.stat, name)

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        check_range(start, end)
        file = await asyncio.to_thread(self._directory.open, name)
        if file is None:
            raise NotFound(f"no object {name}")
        try:
            stop = file.size if end is None else min(end, file.size)
            while start < stop:
                data = await asyncio.to_thread(file.read, start, min(CHUNK, stop - start))
                if not data:
                    raise Refused(f"local storage: {name} was cut short while it was read")
                start += len(data)
                yield data
        finally:
            file.close()

    async def delete(self, name: str) -> bool:
        return await asyncio.to_thread(self._directory.remove, name)

    def sign_put(self, name: str, *, ttl_s: int) -> str:
        return self._sign("PUT", name, ttl_s, self._max_put_bytes)

    def sign_get(self, name: str, *, ttl_s: int) -> str:
        return self._sign("GET", name, ttl_s, None)

    def _sign(self, method: str, name: str, ttl_s: int, max_bytes: int | None) -> str:
        check_name(name)
        return self._signer.url(Grant(method, name, int(time.time()) + ttl_s, max_bytes))

    async def check(self) -> None:
        """Also sweeps the drafts that killed writers left behind."""
        await asyncio.to_thread(self._directory.sweep)

    async def close(self) -> None:
        """Nothing is held open."""
