"""Reading a recording back: from storage to the socket, cut and encoded as the request asks.

Stored bytes go out untouched where the client takes zstd; everything else is transcoded chunk by chunk in threads. The
first bytes are there before the answer begins, so that storage being away is a 503; what fails later cuts the
connection, so that nobody takes half a recording for a whole one.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
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
from app.services import Services, services_of
from models import queries
from models.queries import Playable
from models.recording import Status
from models.tenancy import Scope
from replay.cut import Body, Cut, Span, cut, whole
from replay.index import Index
from replay.tape import LEVEL
from replay.transcode import Identity, Transcoder, transcoder
from storage.protocol import NotFound, Storage

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
    """Read the events, in playing order, as soon as there is a tape, whatever the status."""
    services = services_of(request)
    media_type = choose_media_type(accept, MEDIA_TYPES)
    encoding = choose_encoding(accept_encoding, ENCODINGS)
    if media_type is None or encoding is None:
        raise ApiError(
            Code.NOT_ACCEPTABLE, f"There is {' and '.join(MEDIA_TYPES)}, in {', '.join(ENCODINGS)}."
        )
    for _ in range(2):  # a tape that was replaced or deleted just now is looked up again
        found = await _find(request, recording_id)
        if found.tape_name is None or found.tape_index is None:
            raise _nothing_to_read(found)
        headers = _headers(
            encoding,
            etag_of(found.tape_name, media_type, encoding, f"{from_ms} {to_ms} {align}"),
            "Accept, Accept-Encoding",
        )
        if matches(if_none_match, headers["ETag"]):
            return not_modified(headers)
        try:
            index = Index.decode(found.tape_index, snapshots=align is not None)
            if from_ms is None and to_ms is None and align is None:
                body = whole(index)
            else:
                wanted = cut(index, from_ms=from_ms, to_ms=to_ms, align=align is not None)
                body = await _cut_out(services, found.tape_name, wanted, encoding)
            if encoding == "zstd" and media_type == openapi.JSON:
                headers["Content-Length"] = str(body.stored_bytes)
            elif encoding == "identity" and media_type == openapi.JSON:
                headers["Content-Length"] = str(body.json_bytes)
            pieces = _stored(services.storage, found.tape_name, body)
            return await _streamed(
                request, _transcoded(pieces, body, media_type, encoding), media_type, headers
            )
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
        headers = _headers(encoding, etag_of(name, encoding), "Accept-Encoding")
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


async def _cut_out(services: Services, name: str, wanted: Cut, encoding: str) -> Body:
    edges = [b"".join([c async for c in services.storage.read(name, *span)]) for span in wanted.spans]
    level = LEVEL if encoding == "zstd" else PASSING_LEVEL
    make = partial(wanted.body, edges, level=level, find_events=partial(services.seams.find, name))
    return await asyncio.to_thread(make)


async def _stored(storage: Storage, name: str, body: Body) -> AsyncGenerator[bytes, None]:
    for piece in body.pieces:
        if isinstance(piece, Span):
            async for chunk in storage.read(name, *piece):
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


def _headers(encoding: str, etag: str, vary: str) -> dict[str, str]:
    coded = {} if encoding == "identity" else {"Content-Encoding": encoding}
    return {"ETag": etag, "Vary": vary, "Cache-Control": "private, no-cache", **coded}


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
