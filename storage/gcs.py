"""Storage in a bucket of Google Cloud Storage.

The client is synchronous and runs in a few threads of our own, which bounds how much goes on at once. It is never
left to retry by itself: what is away is tried again here for a short while, then reported as Unavailable.

A put is one request (JSON API, multipart upload) that storage only accepts where there is no object yet
(`ifGenerationMatch=0`), streamed from the caller's file: it cannot half-succeed, may be repeated, and takes no memory.
The client's own uploads read everything into memory, or are resumable and leave a session behind.

A copy is a rewrite, in as many calls as Google wants (one, unless location or storage class differ). That it is of the
generation that was asked for, Google sees to, and fake-gcs-server too (`sourceGeneration`). That it never overwrites
(`ifGenerationMatch=0`) Google alone sees to: fake-gcs-server ignores it, so the target is looked up first, and there
two copies at once of different objects to one name would not notice each other. Size and CRC32C are compared here.
"""

import asyncio
import base64
import threading
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, BinaryIO, ParamSpec, TypeVar

import google.api_core.exceptions as api
import urllib3
from google.auth.credentials import Credentials
from google.auth.transport.requests import AuthorizedSession
from google.cloud.storage import Blob, Client
from requests.adapters import HTTPAdapter

from storage.deadline import Deadline
from storage.gcs_errors import PastTheEnd, Taken, google_errors_named
from storage.multipart import Multipart
from storage.protocol import (
    Found,
    NotFound,
    Refused,
    Stored,
    Unavailable,
    check_content_type,
    check_name,
    check_range,
)
from storage.source import Source

CHUNK = 4 * 1024 * 1024
THREADS = 16
CONNECT_S = 5.0  # also bounds each write to the socket
ANSWER_S = 30.0
REWRITE_S = 60.0  # Google answers after 30 s at most, with a token when there is more to copy
PATIENCE_S = 10.0
FIRST_PAUSE_S, LAST_PAUSE_S = 0.1, 2.0

P = ParamSpec("P")
T = TypeVar("T")


class GcsStorage:
    """Objects in one bucket; see `protocol.Storage`. The credentials must be able to sign without asking anyone."""

    asgi = None

    def __init__(
        self, bucket: str, credentials: Credentials, *, project: str | None, endpoint: str | None
    ) -> None:
        session: AuthorizedSession = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(pool_maxsize=THREADS))
        session.trust_env = endpoint is None  # an emulator is near: no proxy stands before it
        options = {"api_endpoint": endpoint} if endpoint else None
        self._session = session
        self._client = Client(project=project, credentials=credentials, client_options=options, _http=session)
        # Else the client asks about its bucket by itself, in threads and with patience that nobody here bounds.
        self._client._bucket_metadata_cache = None
        self._bucket = self._client.bucket(bucket)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="gcs")
        self._closed = threading.Event()

    async def put(
        self, name: str, body: BinaryIO, *, size: int, crc32c: int, content_type: str, deadline_s: float
    ) -> Stored:
        check_name(name)
        with Deadline("put", deadline_s) as deadline:
            source = Source(body, size=size, crc32c=crc32c, deadline=deadline)
            return await self._run(self._put, name, source, content_type)

    def _put(self, name: str, source: Source, content_type: str) -> Stored:
        def send() -> Stored:
            source.deadline.check()
            left_s = max(source.deadline.remaining_s(), 0.001)
            # `total` counts the sending too; requests hands urllib3's own kind through, though its types say no.
            limits: Any = urllib3.Timeout(connect=CONNECT_S, read=ANSWER_S, total=left_s)
            body = Multipart({"name": name, "crc32c": _encode(source.crc32c)}, source, content_type)
            response = self._session.post(
                f"{self._client.api_endpoint}/upload/storage/v1{self._bucket.path}/o",
                params={
                    "uploadType": "multipart",
                    "ifGenerationMatch": "0",
                    "fields": "size,crc32c,generation",
                },
                data=body,
                headers={"content-type": body.content_type},
                timeout=limits,
            )
            if not response.ok:
                raise api.from_http_response(response)  # type: ignore[no-untyped-call]
            answer = response.json()
            return Stored(int(answer["size"]), _decode(answer["crc32c"]), str(answer["generation"]))

        try:
            stored = self._patiently(send, source.deadline.remaining_s())
        except Taken:
            stored = self._what_took(name)
        except NotFound:
            raise Refused(self._no_bucket()) from None
        return _expected(name, stored, source.size, source.crc32c)

    def _what_took(self, name: str) -> Stored:
        there = self._stat(name)
        if there is None:
            raise Unavailable(f"GCS: {name} was taken, and is gone again")
        return there

    async def find(self, name: str) -> Found | None:
        stored = await self.stat(name)
        return Found(stored.size, stored.generation) if stored else None

    async def stat(self, name: str) -> Stored | None:
        check_name(name)
        return await self._run(self._stat, name)

    def _stat(self, name: str) -> Stored | None:
        blob = self._bucket.blob(name)
        try:
            self._patiently(lambda: blob.reload(timeout=(CONNECT_S, ANSWER_S), retry=None))
        except NotFound:
            self._require_bucket()
            return None
        return _stored(blob)

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        check_name(name)
        check_range(start, end)
        blob = self._bucket.blob(name)
        while end is None or start < end:
            stop = start + CHUNK if end is None else min(start + CHUNK, end)
            data, generation = await self._run(self._read, blob, start, stop)
            if data:
                yield data
            start += len(data)
            if start < stop:  # the object ends here
                return
            blob = Blob(name, self._bucket, generation=generation)

    def _read(self, blob: Blob, start: int, stop: int) -> tuple[bytes, int]:
        def download() -> bytes:
            data: bytes = blob.download_as_bytes(
                start=start,
                end=stop - 1,
                raw_download=True,
                checksum=None,
                timeout=(CONNECT_S, ANSWER_S),
                retry=None,
            )
            return data

        try:
            return self._patiently(download), blob.generation
        except PastTheEnd:
            return b"", 0
        except NotFound:
            self._require_bucket()
            raise

    async def copy(self, source: str, target: str, *, generation: str, deadline_s: float) -> Stored:
        check_name(source)
        check_name(target)
        with Deadline("copy", deadline_s) as deadline:
            return await self._run(self._copy, source, target, generation, deadline)

    def _copy(self, source: str, target: str, generation: str, deadline: Deadline) -> Stored:
        deadline.check()
        meant = self._stat(source)
        if meant is None or meant.generation != generation:
            raise NotFound(f"{source} is gone, or was replaced")
        copied = self._stat(target) or self._rewrite(source, target, generation, deadline)
        return _expected(target, copied, meant.size, meant.crc32c)

    def _rewrite(self, source: str, target: str, generation: str, deadline: Deadline) -> Stored:
        origin = Blob(source, self._bucket, generation=int(generation))
        copy = self._bucket.blob(target)

        def step(token: str | None) -> str | None:
            deadline.check()
            answer_s = max(min(REWRITE_S, deadline.remaining_s()), 0.001)
            next_token: str | None = copy.rewrite(
                origin,
                token=token,
                if_generation_match=0,
                if_source_generation_match=int(generation),
                timeout=(CONNECT_S, answer_s),
                retry=None,
            )[0]
            return next_token

        try:
            token = self._patiently(partial(step, None), deadline.remaining_s())
            while token:
                token = self._patiently(partial(step, token), deadline.remaining_s())
        except Taken:
            return self._what_took(target)
        except Unavailable:
            deadline.check()  # the last answer gets what time is left: that it timed out tells less
            raise
        return _stored(copy)

    async def delete(self, name: str) -> bool:
        check_name(name)
        return await self._run(self._delete, name)

    def _delete(self, name: str) -> bool:
        blob = self._bucket.blob(name)
        try:
            self._patiently(lambda: blob.delete(timeout=(CONNECT_S, ANSWER_S), retry=None))
        except NotFound:
            self._require_bucket()
            return False
        return True

    def sign_put(self, name: str, *, ttl_s: int) -> str:
        return self._sign("PUT", name, ttl_s)

    def sign_get(self, name: str, *, ttl_s: int, content_type: str | None = None) -> str:
        check_content_type(content_type)
        return self._sign("GET", name, ttl_s, response_type=content_type)

    def _sign(self, method: str, name: str, ttl_s: int, response_type: str | None = None) -> str:
        check_name(name)
        url: str = self._bucket.blob(name).generate_signed_url(
            version="v4", expiration=timedelta(seconds=ttl_s), method=method, response_type=response_type
        )
        return url

    async def check(self) -> None:
        await self._run(self._require_bucket, 0)

    async def sweep(self) -> None:
        """Nothing: a bucket has whole objects only."""

    async def close(self) -> None:
        self._closed.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._client.close)

    async def bucket_resource(self) -> dict[str, Any]:
        """What Google tells of the bucket. Raises Unavailable, Refused."""
        return await self._run(self._bucket_resource)

    def _bucket_resource(self) -> dict[str, Any]:
        def ask() -> dict[str, Any]:
            response = self._session.get(
                f"{self._client.api_endpoint}/storage/v1{self._bucket.path}", timeout=(CONNECT_S, ANSWER_S)
            )
            if not response.ok:
                raise api.from_http_response(response)  # type: ignore[no-untyped-call]
            resource: dict[str, Any] = response.json()
            return resource

        try:
            return self._patiently(ask)
        except NotFound:
            raise Refused(self._no_bucket()) from None

    def _require_bucket(self, patience_s: float = PATIENCE_S) -> None:
        """Tells a missing object from a missing bucket: both are 404. Listing is what the object roles allow."""
        page = {"max_results": 1, "fields": "items(name)", "timeout": (CONNECT_S, ANSWER_S), "retry": None}
        try:
            self._patiently(lambda: list(self._client.list_blobs(self._bucket, **page)), patience_s)
        except NotFound:
            raise Refused(self._no_bucket()) from None

    def _no_bucket(self) -> str:
        return f"there is no bucket gs://{self._bucket.name}"

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: call(*args, **kwargs))

    def _patiently(self, call: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
        """Calls again what raised Unavailable, for as long as that may help."""
        until = time.monotonic() + min(patience_s, PATIENCE_S)
        pause = FIRST_PAUSE_S
        while True:
            try:
                with google_errors_named():
                    return call()
            except Unavailable:
                if time.monotonic() + pause >= until or self._closed.wait(pause):
                    raise
            pause = min(2 * pause, LAST_PAUSE_S)


def _expected(name: str, stored: Stored, size: int, crc32c: int) -> Stored:
    if (stored.size, stored.crc32c) != (size, crc32c):
        raise Refused(f"{name} has other bytes in storage ({stored.size} bytes, CRC32C {stored.crc32c:08x})")
    return stored


def _stored(blob: Blob) -> Stored:
    return Stored(int(blob.size), _decode(blob.crc32c), str(blob.generation))


def _encode(crc32c: int) -> str:
    return base64.b64encode(crc32c.to_bytes(4, "big")).decode()


def _decode(crc32c: str) -> int:
    return int.from_bytes(base64.b64decode(crc32c), "big")
