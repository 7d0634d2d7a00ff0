"""Storage in a local directory, with the semantics of a bucket. Content types are not kept."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from typing import BinaryIO

from storage.deadline import Deadline
from storage.directory import Directory, Draft
from storage.local_http import SignedUrlApp
from storage.protocol import (
    ASGIApp,
    Found,
    NotFound,
    Refused,
    Stored,
    check_content_type,
    check_name,
    check_range,
)
from storage.signing import Grant, Signer
from storage.source import CHUNK, Source

STALE_DRAFT_S = 3600  # beyond the time that an upload may take; puts and copies have shorter deadlines


class LocalStorage:
    """Objects as files below `directory`; see `protocol.Storage`.

    A signed PUT may bring `max_put_bytes` at most, and take `upload_deadline_s`. `asgi` answers browsers of the
    `cors_origins` ("*": all).
    """

    def __init__(
        self,
        directory: Directory,
        signer: Signer,
        *,
        max_put_bytes: int,
        upload_deadline_s: float,
        cors_origins: Sequence[str],
    ) -> None:
        self._directory = directory
        self._signer = signer
        self._max_put_bytes = max_put_bytes
        self._stale_draft_s = upload_deadline_s + STALE_DRAFT_S
        self._app = SignedUrlApp(directory, signer, cors_origins, upload_deadline_s=upload_deadline_s)

    @property
    def asgi(self) -> ASGIApp:
        return self._app

    async def put(
        self, name: str, body: BinaryIO, *, size: int, crc32c: int, content_type: str, deadline_s: float
    ) -> Stored:
        with Deadline("put", deadline_s) as deadline:
            source = Source(body, size=size, crc32c=crc32c, deadline=deadline)
            return await asyncio.to_thread(self._put, name, source)

    def _put(self, name: str, source: Source) -> Stored:
        check_name(name)
        with self._directory.draft() as draft:
            for chunk in source:
                draft.write(chunk)
            return self._publish(draft, name, source.deadline)

    def _publish(self, draft: Draft, name: str, deadline: Deadline) -> Stored:
        stored = draft.publish(name, replace=False, last_check=deadline.check)
        if stored is None:
            stored = self._directory.stat(name)
            if stored is None or (stored.size, stored.crc32c) != (draft.size, draft.crc32c):
                raise Refused(f"{name} already has other bytes")
            self._directory.sync(name)
        return stored

    async def copy(self, source: str, target: str, *, generation: str, deadline_s: float) -> Stored:
        check_name(target)
        with Deadline("copy", deadline_s) as deadline:
            return await asyncio.to_thread(self._copy, source, target, generation, deadline)

    def _copy(self, source: str, target: str, generation: str, deadline: Deadline) -> Stored:
        deadline.check()
        draft = self._directory.link(source, generation)
        if draft is None:
            raise NotFound(f"{source} is gone, or was replaced")
        with draft:
            draft.measure(deadline.check)
            return self._publish(draft, target, deadline)

    async def find(self, name: str) -> Found | None:
        return await asyncio.to_thread(self._directory.find, name)

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
        check_name(name)
        return self._signer.url(Grant("PUT", name, int(time.time()) + ttl_s, max_bytes=self._max_put_bytes))

    def sign_get(self, name: str, *, ttl_s: int, content_type: str | None = None) -> str:
        check_name(name)
        check_content_type(content_type)
        return self._signer.url(Grant("GET", name, int(time.time()) + ttl_s, content_type=content_type))

    async def check(self) -> None:
        await asyncio.to_thread(self._directory.check)

    async def sweep(self) -> None:
        await asyncio.to_thread(self._directory.sweep, self._stale_draft_s)

    async def close(self) -> None:
        """Nothing is held open."""
