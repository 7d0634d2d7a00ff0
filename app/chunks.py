"""`/api/v1/recordings/{id}/events` and `…/finish`: the chunks of an open recording, and its end."""

from uuid import UUID

import msgspec
from litestar import Response, post
from litestar.params import FromPath

from app import openapi
from app.accepting import RECORDINGS, checked_body
from app.auth import ApiRequest, needs
from app.checking import CHUNK
from app.errors import POLL_AGAIN_S, ApiError, Code, not_found
from app.recordings import visible
from app.services import services_of
from models import live
from models.live import Conflict, NewBatch, NotOpen
from models.recording import Source, Status
from models.tenancy import Scope


class ChunkReceived(msgspec.Struct):
    """A chunk that is durable from now on, or was before."""

    id: UUID
    seq: int
    events_received: int


class Finished(msgspec.Struct):
    """A recording that takes no more chunks, and its status."""

    id: UUID
    status: Status


@post(
    "/{recording_id:uuid}/events",
    status_code=202,
    guards=[needs(Scope.INGEST)],
    request_max_body_size=None,
    operation_class=openapi.APPEND,
    responses=openapi.problems(
        Code.VALIDATION_ERROR,
        Code.NOT_FOUND,
        Code.REQUEST_TIMEOUT,
        Code.SEQ_CONFLICT,
        Code.RECORDING_CLOSED,
        Code.PAYLOAD_TOO_LARGE,
        Code.UNSUPPORTED_ENCODING,
        Code.RATE_LIMITED,
        Code.OVERLOADED,
    ),
)
async def append_chunk(request: ApiRequest, recording_id: FromPath[UUID]) -> Response[ChunkReceived]:
    """Add a chunk to an open recording. It is durable when the answer comes; the same again changes nothing."""
    services, tenant_id = services_of(request), request.auth.tenant_id
    await visible(request, recording_id)
    async with checked_body(request, CHUNK) as chunk:
        seq, events = chunk.head.seq, chunk.head.events
        batch = NewBatch(chunk.payload, chunk.digest or b"", chunk.size)
        try:
            with services.pending.adding(len(batch.payload)):
                appended = await live.append_chunk(
                    services.db, tenant_id, recording_id, seq, batch, services.live
                )
        except Conflict:
            detail = f"Another chunk came with seq {seq} before."
            raise ApiError(Code.SEQ_CONFLICT, detail) from None
        except NotOpen:
            raise ApiError(Code.RECORDING_CLOSED, "This recording takes no more chunks.") from None
    if appended is None:
        raise not_found()
    if not appended.again:
        services.metrics.appended(Source.UPLOAD, batch.size)
    if appended.is_full:
        await live.finish(services.db, tenant_id, recording_id)
        services.doorbell.ring()
    return Response(ChunkReceived(recording_id, seq, events))


@post(
    "/{recording_id:uuid}/finish",
    status_code=202,
    guards=[needs(Scope.INGEST)],
    operation_class=openapi.FINISH,
    responses=openapi.problems(Code.NOT_FOUND),
)
async def finish_recording(request: ApiRequest, recording_id: FromPath[UUID]) -> Response[Finished]:
    """Close an open recording, or a live session: one tape is made of all that came. Again, it changes nothing."""
    services = services_of(request)
    await visible(request, recording_id)
    status = await live.finish(services.db, request.auth.tenant_id, recording_id)
    if status is None:
        raise not_found()
    services.doorbell.ring()
    headers = {"Location": f"{RECORDINGS}/{recording_id}", "Retry-After": str(POLL_AGAIN_S)}
    return Response(Finished(recording_id, status), headers=headers)


HANDLERS = (append_chunk, finish_recording)
