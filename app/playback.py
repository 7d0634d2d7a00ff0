"""Reading a recording back: from storage to the socket, cut and encoded as the request asks.

Stored bytes go out untouched where the client takes zstd; everything else is transcoded chunk by chunk in threads. The
first bytes are there before the answer begins, so that storage being away is a 503; what fails later cuts the
connection, so that nobody takes half a recording for a whole one.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

import structlog
from litestar import HttpMethod, Response, route
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter, QueryParameter
from litestar.response import Stream

from app import openapi
from app.auth import ApiRequest, needs
from app.conditions import choose_encoding, choose_media_type, etag_of, matches
from app.documents import LogsDocument
from app.errors import POLL_AGAIN_S, RETRY_SOON_S, ApiError, Code, not_found
from app.recordings import not_modified
from app.services import services_of
from app.so_far import tape_so_far
from models import queries
from models.queries import Playable
from models.recording import Status
from models.tenancy import Scope
from replay.cut import Body, FindEvents, Span, cut, whole
from replay.index import Index
from replay.tape import LEVEL
from replay.transcode import Identity, Transcoder, transcoder
from storage.protocol import NotFound

ENCODINGS = ("zstd", "gzip", "identity")
MEDIA_TYPES = (openapi.JSON, openapi.NDJSON)
PASSING_LEVEL = -50  # of an edge that is decompressed again at once
LATEST_MS = 1e15  # far beyond any recording; keeps infinities out

Milliseconds = Annotated[
    float | None,
    QueryParameter(
        ge=0, le=LATEST_MS, description="Milliseconds from the first event; from_ms <= t < to_ms."
    ),
]
IfNoneMatch = Annotated[str | None, HeaderParameter(name="If-None-Match")]
Accept = Annotated[
    str | None, HeaderParameter(name="Accept", description="`application/x-ndjson` gives one event a line.")
]
AcceptEncoding = Annotated[
    str | None,
    HeaderParameter(name="Accept-Encoding", description="`zstd` gets the stored bytes as they are."),
]


Read = Callable[[int, int], AsyncGenerator[bytes, None]]


@dataclass(frozen=True)
class _Wish:
    """How a reader wants the events, and which."""

    media_type: str
    encoding: str
    from_ms: float | None
    to_ms: float | None
    align: bool

    @property
    def is_whole(self) -> bool:
        return self.from_ms is None and self.to_ms is None and not self.align


@route(
    "/{recording_id:uuid}/events",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    guards=[needs(Scope.READ)],
    operation_class=openapi.EVENTS,
    responses=openapi.problems(
        Code.VALIDATION_ERROR, Code.NOT_FOUND, Code.NOT_ACCEPTABLE, Code.NOT_READY, Code.RECORDING_FAILED
    ),
)
async def read_events(
    request: ApiRequest,
    recording_id: FromPath[UUID],
    from_ms: Milliseconds = None,
    to_ms: Milliseconds = None,
    align: Annotated[
        Literal["snapshot"] | None,
        QueryParameter(description="Move the start back to where a player can start: a full snapshot."),
    ] = None,
    accept: Accept = None,
    accept_encoding: AcceptEncoding = None,
    if_none_match: IfNoneMatch = None,
) -> Response[Any]:
    """Read the events, in playing order, as soon as there is a tape, whatever the status; of an open recording those that
    have come so far."""
    services = services_of(request)
    media_type = choose_media_type(accept, MEDIA_TYPES)
    encoding = choose_encoding(accept_encoding, ENCODINGS)
    if media_type is None or encoding is None:
        raise ApiError(
            Code.NOT_ACCEPTABLE, f"There is {' and '.join(MEDIA_TYPES)}, in {', '.join(ENCODINGS)}."
        )
    wish = _Wish(media_type, encoding, from_ms, to_ms, align is not None)
    for _ in range(3):  # a tape that was made, replaced or deleted just now is looked up again
        found = await _find(request, recording_id)
        if found.tape_name is None or found.tape_index is None:
            if not found.is_open:
                raise _nothing_to_read(found)
            if (answer := await _read_so_far(request, recording_id, wish)) is None:
                continue
            return answer
        etag = etag_of(found.tape_name, media_type, encoding, f"{from_ms} {to_ms} {align}")
        headers = _headers(encoding, "Accept, Accept-Encoding", {"ETag": etag})
        if matches(if_none_match, headers["ETag"]):
            return not_modified(headers)
        try:
            index = Index.decode(found.tape_index, snapshots=align is not None)
            read, find_events = (
                partial(services.storage.read, found.tape_name),
                partial(services.seams.find, found.tape_name),
            )
            return await _answered(request, wish, index, read, headers, find_events)
        except NotFound:
            continue
    raise _gone()


@route(
    "/{recording_id:uuid}/logs",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    guards=[needs(Scope.READ)],
    operation_class=openapi.LOGS,
    responses=openapi.problems(Code.NOT_FOUND, Code.NOT_ACCEPTABLE, Code.NOT_READY, Code.RECORDING_FAILED)
    | {200: ResponseSpec(LogsDocument, generate_examples=False)},
)
async def read_logs(
    request: ApiRequest,
    recording_id: FromPath[UUID],
    accept_encoding: AcceptEncoding = None,
    if_none_match: IfNoneMatch = None,
) -> Response[Any]:
    """Read what came with the events: console and network logs, client info; and the rejected events."""
    services = services_of(request)
    encoding = choose_encoding(accept_encoding, ENCODINGS)
    if encoding is None:
        raise ApiError(Code.NOT_ACCEPTABLE, f"There is {openapi.JSON}, in {', '.join(ENCODINGS)}.")
    for _ in range(2):
        found = await _find(request, recording_id)
        name = found.sidecar_name
        if name is None:
            raise _nothing_to_read(found)
        headers = _headers(encoding, "Accept-Encoding", {"ETag": etag_of(name, encoding)})
        if matches(if_none_match, headers["ETag"]):
            return not_modified(headers)
        try:
            pieces = _transcoded(services.storage.read(name), Body((), ()), openapi.JSON, encoding)
            return await _streamed(request, pieces, openapi.JSON, headers)
        except NotFound:
            continue
    raise _gone()


async def _find(request: ApiRequest, recording_id: UUID) -> Playable:
    """What the caller may read of this recording. Raises ApiError."""
    structlog.contextvars.bind_contextvars(recording_id=str(recording_id))
    found = await queries.playable(services_of(request).db, request.auth.tenant_id, recording_id)
    if found is None:
        raise not_found()
    return found


async def _read_so_far(request: ApiRequest, recording_id: UUID, wish: _Wish) -> Response[Any] | None:
    """The same of a recording that is open. Nobody may keep it. None: it has been closed."""
    headers = _headers(wish.encoding, "Accept, Accept-Encoding", {"Cache-Control": "no-store"})
    so_far = await tape_so_far(services_of(request), request.auth.tenant_id, recording_id)
    if so_far is None:
        return None

    async def read(start: int, end: int) -> AsyncGenerator[bytes, None]:
        yield so_far.tape[start:end]

    return await _answered(request, wish, so_far.index, read, headers)


async def _answered(
    request: ApiRequest,
    wish: _Wish,
    index: Index,
    read: Read,
    headers: dict[str, str],
    find_events: FindEvents | None = None,
) -> Response[Any]:
    """What was wished for of a tape. Raises what reading raises."""
    if wish.is_whole:
        body = whole(index)
    else:
        wanted = cut(index, from_ms=wish.from_ms, to_ms=wish.to_ms, align=wish.align)
        edges = [b"".join([chunk async for chunk in read(*span)]) for span in wanted.spans]
        level = LEVEL if wish.encoding == "zstd" else PASSING_LEVEL
        body = await asyncio.to_thread(partial(wanted.body, edges, level=level, find_events=find_events))
    if wish.encoding == "zstd" and wish.media_type == openapi.JSON:
        headers["Content-Length"] = str(body.stored_bytes)
    elif wish.encoding == "identity" and wish.media_type == openapi.JSON:
        headers["Content-Length"] = str(body.json_bytes)
    pieces = _transcoded(_stored(read, body), body, wish.media_type, wish.encoding)
    return await _streamed(request, pieces, wish.media_type, headers)


async def _stored(read: Read, body: Body) -> AsyncGenerator[bytes, None]:
    for piece in body.pieces:
        if isinstance(piece, Span):
            async for chunk in read(*piece):
                yield chunk
        else:
            yield piece


async def _streamed(
    request: ApiRequest, stream: AsyncGenerator[bytes, None], media_type: str, headers: dict[str, str]
) -> Stream:
    """The answer, once its first bytes are there. Raises what storage raises."""
    first = await anext(stream, b"")
    if request.method == HttpMethod.HEAD:
        await stream.aclose()
        return Stream(iter(()), media_type=media_type, headers=headers)
    return Stream(_resumed(first, stream), media_type=media_type, headers=headers)


async def _resumed(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    try:
        yield first
        async for piece in rest:
            yield piece
    finally:
        await rest.aclose()


def _transcoded(
    stored: AsyncGenerator[bytes, None], body: Body, media_type: str, encoding: str
) -> AsyncGenerator[bytes, None]:
    """What the client takes, made in threads; the stored bytes go straight through where that is what it takes."""
    steps = transcoder(body, media_type, encoding)
    return stored if isinstance(steps, Identity) else _in_steps(stored, steps)


async def _in_steps(stored: AsyncGenerator[bytes, None], steps: Transcoder) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in stored:
            async for piece in _in_threads(steps.feed(chunk)):
                yield piece
        async for piece in _in_threads(steps.finish()):
            yield piece
    finally:
        await stored.aclose()


async def _in_threads(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Each piece is made in a thread, when the one before has been sent."""
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        if piece:
            yield piece


def _headers(encoding: str, vary: str, more: dict[str, str]) -> dict[str, str]:
    coded = {} if encoding == "identity" else {"Content-Encoding": encoding}
    return {"Vary": vary, "Cache-Control": "private, no-cache", **coded, **more}


def _nothing_to_read(found: Playable) -> ApiError:
    if found.status is Status.FAILED:
        code = found.failure_code or "unknown"
        detail = f"This recording failed before there was anything to read: {code}."
        return ApiError(Code.RECORDING_FAILED, detail)
    if found.status is Status.READY:  # deleted between two looks
        return not_found()
    detail = "This recording has not been processed yet."
    return ApiError(Code.NOT_READY, detail, headers={"Retry-After": str(POLL_AGAIN_S)})


def _gone() -> ApiError:
    detail = "What was stored of this recording cannot be found in storage now."
    return ApiError(Code.UNAVAILABLE, detail, headers={"Retry-After": str(RETRY_SOON_S)})


HANDLERS = (read_events, read_logs)
