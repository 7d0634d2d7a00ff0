"""`/ingest/v1/replay`: a batch of a live session, from an SDK in a web page."""

from datetime import UTC, datetime

import msgspec
import structlog
from litestar import Response, post

from app import openapi
from app.accepting import checked_body
from app.auth import ApiRequest, Caller, needs
from app.checking import BATCH
from app.errors import RETRY_SOON_S, ApiError, Code
from app.ingest_errors import Meta, meta
from app.services import Services, services_of
from models import live
from models.accept import NewRecording, Opening, SessionIsOpen, accept
from models.live import Appended, NewBatch
from models.recording import Source
from models.tenancy import Scope
from replay.live import Batch

ROOT = "/ingest/"
PATH = f"{ROOT}v1/replay"
MEDIA_TYPES = ("", "application/json", "text/plain")
TRIES = 5  # between two looks at a session others may have opened and closed it


class Received(msgspec.Struct, rename="camel"):
    """How much of the batch is durable from now on, or was before: all of it."""

    events_received: int


class Ingested(msgspec.Struct):
    """A batch that was accepted."""

    success: bool
    data: Received
    meta: Meta


@post(
    PATH,
    status_code=202,
    guards=[needs(Scope.INGEST, beacons=True)],
    tags=["Live sessions"],
    security=openapi.BEACONS,
    request_max_body_size=None,
    operation_class=openapi.INGEST,
    responses=openapi.envelopes(
        Code.VALIDATION_ERROR,
        Code.REQUEST_TIMEOUT,
        Code.PAYLOAD_TOO_LARGE,
        Code.UNSUPPORTED_ENCODING,
        Code.UNSUPPORTED_MEDIA_TYPE,
        Code.RATE_LIMITED,
        Code.OVERLOADED,
    ),
)
async def ingest(request: ApiRequest) -> Response[Ingested]:
    """Accept a batch of a live session. It is durable when the answer comes; the same again changes nothing."""
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        raise ApiError(Code.UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json or text/plain.")
    services, caller = services_of(request), request.auth
    async with checked_body(request, BATCH) as checked:
        batch = NewBatch(checked.payload, checked.digest or b"", checked.size)
        with services.pending.adding(len(batch.payload)):
            kept = await _keep(services, caller, checked.head, batch)
    if kept is not None:
        structlog.contextvars.bind_contextvars(recording_id=str(kept.recording_id))
        if checked.head.final or kept.is_full:
            await live.finish(services.db, caller.tenant_id, kept.recording_id)
            services.doorbell.ring()
    return Response(Ingested(True, Received(checked.head.events), meta()))


async def _keep(services: Services, caller: Caller, head: Batch, batch: NewBatch) -> Appended | None:
    """The batch in the open recording of its session, which is opened if need be. None: it came before, and was closed."""
    for _ in range(TRIES):
        appended = await live.append_to_session(
            services.db, caller.project_id, head.session_id, batch, services.live
        )
        if appended is not None:
            if not appended.again:
                services.metrics.appended(Source.STREAM, batch.size)
            return appended
        before = await live.before(
            services.db, caller.tenant_id, caller.project_id, head.session_id, batch.digest
        )
        if before.received:
            return None
        new = NewRecording(
            tenant_id=caller.tenant_id,
            project_id=caller.project_id,
            user_id=caller.user_id,
            api_key_id=caller.api_key_id,
            source=Source.STREAM,
            started_at=head.started_at or datetime.now(UTC),
            session_id=head.session_id,
            fingerprint=head.fingerprint,
            continues=before.recording_id,
        )
        opening = Opening(batch.digest, batch.size, services.live.first_look_s)
        try:
            with services.traces.span("accept", tapedeck__source=Source.STREAM.value):
                opened = await accept(services.db, new, batch.payload, terms=services.video, opening=opening)
        except SessionIsOpen:
            continue
        services.metrics.accepted(Source.STREAM, batch.size)
        return Appended(opened.id, again=False, is_full=batch.size >= services.live.max_bytes)
    detail = "This session is opened and closed all the time. Nothing was stored; try again soon."
    raise ApiError(Code.OVERLOADED, detail, headers={"Retry-After": str(RETRY_SOON_S)})
