"""The signed URLs of a local directory, served as a plain ASGI 3 application.

PUT streams to disk and replaces what an earlier PUT brought; GET knows Range and If-Range, GET and HEAD If-None-Match
(RFC 9110). Only a URL's own method passes: 403 for a URL that is not ours or has expired, 405 for another method.
Errors are problem documents (RFC 9457). What is served was uploaded by others, so browsers may not run it.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus

from storage.deadline import Deadline
from storage.directory import Directory, OpenFile
from storage.protocol import Receive, Refused, Scope, Send, Unavailable, check_name
from storage.signing import BadSignature, Grant, Signer
from storage.source import CHUNK

STALL_S = 60.0
_TYPES = {"mp4": "video/mp4", "webm": "video/webm"}
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")

Headers = dict[str, str]


class SignedUrlApp:
    """To be mounted at `/storage`. Browsers of the `cors_origins` ("*": all) may use it, never with credentials.

    An upload that brings nothing for `stall_s` seconds, or takes longer than `upload_deadline_s`, is ended.
    """

    def __init__(
        self,
        directory: Directory,
        signer: Signer,
        cors_origins: Sequence[str],
        *,
        upload_deadline_s: float,
        stall_s: float = STALL_S,
    ) -> None:
        self._directory = directory
        self._signer = signer
        self._origins = frozenset(cors_origins)
        self._upload_deadline_s = upload_deadline_s
        self._stall_s = stall_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        cors = self._cors(request.get("origin"))
        try:
            if scope["method"] == "OPTIONS":
                asked = request.get("access-control-request-headers")
                allowed = (
                    {"access-control-allow-headers": asked} if asked else {}
                )  # `*` leaves out Authorization
                await _answer(send, 204, cors | _PREFLIGHT | allowed)
                return
            grant = self._grant(scope)
            if grant.method == "PUT":
                await _answer(send, 200, cors | {"etag": _etag(await self._put(grant, request, receive))})
            else:
                await self._get(grant, scope["method"] == "HEAD", request, cors, receive, send)
        except _Problem as problem:
            await _answer(send, problem.status, cors | problem.headers, problem.body())
        except _ClientGone:
            pass

    def _grant(self, scope: Scope) -> Grant:
        name = scope["path"].removeprefix(scope.get("root_path", "")).removeprefix("/").removesuffix("/")
        try:
            check_name(name)
            grant = self._signer.verify(name, scope["query_string"], now=time.time())
        except (BadSignature, Refused) as error:
            raise _Problem(HTTPStatus.FORBIDDEN, "bad_url", str(error)) from error
        allowed = ("GET", "HEAD") if grant.method == "GET" else (grant.method,)
        if scope["method"] not in allowed:
            detail = f"This URL is for {grant.method}."
            raise _Problem(
                HTTPStatus.METHOD_NOT_ALLOWED, "wrong_method", detail, {"allow": ", ".join(allowed)}
            )
        return grant

    async def _put(self, grant: Grant, request: Headers, receive: Receive) -> str:
        """Stores the request's body; returns the object's generation. Anything less than the whole leaves nothing."""
        if "content-range" in request:
            raise _Problem(
                HTTPStatus.BAD_REQUEST, "partial_put", "An object is uploaded whole, without Content-Range."
            )
        deadline = Deadline("upload", self._upload_deadline_s)
        limit = grant.max_bytes or 0
        declared = request.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            raise _too_large(limit)
        with _storage_problems():
            draft = await asyncio.to_thread(self._directory.draft)
            try:
                async for data in _whole_chunks(receive, self._stall_s, deadline):
                    if draft.size + len(data) > limit:
                        raise _too_large(limit)
                    await asyncio.to_thread(draft.write, data)
                publish = partial(draft.publish, grant.name, replace=True, last_check=deadline.check)
                stored = await asyncio.to_thread(publish)
                return stored.generation if stored else ""
            finally:
                await asyncio.to_thread(draft.discard)

    async def _get(
        self, grant: Grant, head: bool, request: Headers, cors: Headers, receive: Receive, send: Send
    ) -> None:
        with _storage_problems():
            file = await asyncio.to_thread(self._directory.open, grant.name)
        if file is None:
            raise _Problem(HTTPStatus.NOT_FOUND, "not_found", "There is no such object.")
        try:
            etag = _etag(file.generation)
            suffix = grant.name.rpartition(".")[2]
            headers = cors | {
                "accept-ranges": "bytes",
                "cache-control": "private, no-cache",
                "content-security-policy": "sandbox; default-src 'none'",
                "content-type": grant.content_type or _TYPES.get(suffix, "application/octet-stream"),
                "etag": etag,
                "x-content-type-options": "nosniff",
            }
            known = {tag.strip().removeprefix("W/") for tag in request.get("if-none-match", "").split(",")}
            if known & {etag, "*"}:
                await _answer(send, 304, headers)
                return
            status, start, end = 200, 0, file.size
            asked = request.get("range", "") if not head and request.get("if-range", etag) == etag else ""
            if part := _part(asked, file.size):
                status, (start, end) = 206, part
                headers["content-range"] = f"bytes {start}-{end - 1}/{file.size}"
            headers["content-length"] = str(end - start)
            await send({"type": "http.response.start", "status": status, "headers": _raw(headers)})
            await _send_file(file, start, start if head else end, receive, send)
        finally:
            file.close()

    def _cors(self, origin: str | None) -> Headers:
        if "*" in self._origins:
            allowed = {"access-control-allow-origin": "*"}
        elif origin in self._origins:
            allowed = {"access-control-allow-origin": str(origin), "vary": "Origin"}
        else:
            return {"vary": "Origin"}
        return allowed | {"access-control-expose-headers": _EXPOSED}


_EXPOSED = "Accept-Ranges, Content-Length, Content-Range, ETag, Retry-After, X-Request-Id"
_PREFLIGHT = {
    "access-control-allow-methods": "GET, HEAD, PUT",
    "access-control-max-age": "600",
}


class _Problem(Exception):
    def __init__(self, status: HTTPStatus, code: str, detail: str, headers: Headers | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.headers = {"content-type": "application/problem+json"} | (headers or {})

    def body(self) -> bytes:
        title = self.status.phrase
        members = {
            "type": "about:blank",
            "title": title,
            "status": self.status,
            "detail": str(self),
            "code": self.code,
        }
        return json.dumps(members).encode()


class _ClientGone(Exception):
    """Nobody waits for an answer any more."""


def _too_large(limit: int) -> _Problem:
    return _Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "payload_too_large", f"At most {limit} bytes may be uploaded."
    )


@contextmanager
def _storage_problems() -> Iterator[None]:
    try:
        yield
    except Unavailable as error:
        detail = "Storage is away; try again."
        raise _Problem(
            HTTPStatus.SERVICE_UNAVAILABLE, "storage_unavailable", detail, {"retry-after": "5"}
        ) from error
    except Refused as error:
        raise _Problem(HTTPStatus.CONFLICT, "storage_refused", "Storage refuses this object.") from error


async def _whole_chunks(receive: Receive, stall_s: float, deadline: Deadline) -> AsyncIterator[bytes]:
    """The request's body, gathered into pieces worth a write. Raises when it stalls, is late or its client leaves."""
    gathered = bytearray()
    more = True
    while more:
        left_s = deadline.remaining_s()
        if left_s <= 0:
            raise _Problem(HTTPStatus.REQUEST_TIMEOUT, "upload_too_slow", "The upload takes too long.")
        try:
            async with asyncio.timeout(min(stall_s, left_s)):
                message = await receive()
        except TimeoutError:
            if left_s < stall_s:
                continue
            detail = "Nothing came for too long."
            raise _Problem(HTTPStatus.REQUEST_TIMEOUT, "upload_stalled", detail) from None
        if message["type"] == "http.disconnect":
            raise _ClientGone
        gathered += message.get("body", b"")
        more = message.get("more_body", False)
        if len(gathered) >= CHUNK or not more:
            yield bytes(gathered)
            gathered.clear()


async def _send_file(file: OpenFile, start: int, end: int, receive: Receive, send: Send) -> None:
    """Sends the bytes `start <= i < end`, unless the client leaves before."""
    gone = asyncio.create_task(_disconnected(receive))
    try:
        while start < end and not gone.done():
            data = await asyncio.to_thread(file.read, start, min(CHUNK, end - start))
            if not data:
                raise Refused("local storage: a file was cut short while it was sent")
            start += len(data)
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _part(header: str, size: int) -> tuple[int, int] | None:
    """The half-open range that a Range header asks for; None for the whole. Only single ranges are honoured."""
    match = _RANGE.fullmatch(header.replace(" ", ""))
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < start:
            return None
    if start >= end:
        detail = f"The object has {size} bytes."
        headers = {"content-range": f"bytes */{size}"}
        raise _Problem(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "bad_range", detail, headers)
    return start, end


def _etag(generation: str) -> str:
    return f'"{generation}"'


def _raw(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


async def _answer(send: Send, status: int, headers: Headers, body: bytes = b"") -> None:
    if status not in (204, 304):
        headers = headers | {"content-length": str(len(body))}
    await send({"type": "http.response.start", "status": status, "headers": _raw(headers)})
    await send({"type": "http.response.body", "body": body})
