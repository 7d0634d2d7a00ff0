"""`/api/v1/recordings`: create, list, read, retry, delete."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any
from uuid import UUID

import msgspec
import structlog
from litestar import Request, Response, delete, get, post
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, HeaderParameter, QueryParameter

from app import openapi
from app.accepting import IdempotencyKey, accept_checked, check_key
from app.admission import admitted_body
from app.auth import Caller, needs
from app.checking import UPLOAD, Head
from app.conditions import etag_of, matches, wait_seconds
from app.confirmation import Confirmation, confirm_upload
from app.documents import (
    Created,
    RecordingDocument,
    RecordingList,
    RecordingStatus,
    Retried,
    document_of,
    status_of,
)
from app.errors import POLL_AGAIN_S, ApiError, Code, invalid, not_found, on_hold
from app.presigned import upload_url
from app.services import Services, services_of
from app.uploads import check_body
from models import deletion, lifecycle, queries, video
from models.accept import Accepted, NewRecording
from models.db import Database
from models.lifecycle import NotFailed, PayloadExpired
from models.queries import Filters
from models.recording import Recording, Source, Status
from models.tenancy import Scope
from models.video import NotAwaited
from replay.mask import masker_of
from storage.protocol import StorageError

PATH = "/api/v1/recordings"
CACHING = {"Cache-Control": "private, no-cache", "Vary": "Authorization, X-API-Key, X-SeeStack-Key, Cookie"}

ApiRequest = Request[Any, Caller, State]
FilterText = Annotated[str | None, QueryParameter(max_length=500, pattern=r"^[^\x00]*$")]


@post(
    "/",
    guards=[needs(Scope.INGEST)],
    request_max_body_size=None,
    operation_class=openapi.CREATE,
    responses=openapi.problems(
        Code.VALIDATION_ERROR,
        Code.PROJECT_NOT_FOUND,
        Code.REQUEST_TIMEOUT,
        Code.IDEMPOTENCY_IN_PROGRESS,
        Code.PAYLOAD_TOO_LARGE,
        Code.UNSUPPORTED_ENCODING,
        Code.IDEMPOTENCY_KEY_REUSED,
        Code.RATE_LIMITED,
        Code.OVERLOADED,
    ),
)
async def create_recording(
    request: ApiRequest,
    idempotency_key: IdempotencyKey = None,
) -> Response[Created]:
    """Accept a recording. It is durable when the answer comes, and processed soon after."""
    services, caller = services_of(request), request.auth
    check_key(idempotency_key)
    async with admitted_body(request) as body:
        upload = await check_body(body, UPLOAD, services.apart, digest=idempotency_key is not None)
        new = await _new_recording(services.db, caller, upload.head)
        accepted = await accept_checked(services, new, upload, idempotency_key)
    headers = {"Location": f"{PATH}/{accepted.id}"}
    if accepted.replayed:
        headers["Idempotency-Replayed"] = "true"
    created = Created(accepted.id, "uploading")
    if upload_name := await _upload_name(services, caller, new, accepted):
        url = upload_url(services, upload_name)
        created = Created(accepted.id, "uploading", url.video_upload_url, url.video_upload_expires_at)
    return Response(created, headers=headers)


@get(
    "/",
    guards=[needs(Scope.READ)],
    operation_class=openapi.LIST,
    responses=openapi.problems(Code.VALIDATION_ERROR),
)
async def list_recordings(
    request: ApiRequest,
    limit: Annotated[int, QueryParameter(ge=1, le=100, description="How many at most.")] = 25,
    cursor: Annotated[UUID | None, QueryParameter(description="`next_cursor` of the page before.")] = None,
    project_id: FromQuery[UUID | None] = None,
    status: FromQuery[Status | None] = None,
    session_id: FilterText = None,
    fingerprint: FilterText = None,
) -> Response[RecordingList]:
    """List recordings, newest first. Pages are stable while recordings come and go."""
    filters = Filters(project_id, status, session_id, fingerprint)
    found = await queries.recordings(
        services_of(request).db, request.auth.tenant_id, filters, limit=limit + 1, before=cursor
    )
    page = found[:limit]
    next_cursor = page[-1].id if len(found) > limit else None
    return Response(RecordingList([document_of(one) for one in page], next_cursor), headers=CACHING)


@get(
    "/{recording_id:uuid}",
    guards=[needs(Scope.READ, Scope.INGEST)],
    operation_class=openapi.READ,
    responses=openapi.problems(Code.NOT_FOUND),
)
async def read_recording(
    request: ApiRequest,
    recording_id: FromPath[UUID],
    if_none_match: Annotated[str | None, HeaderParameter(name="If-None-Match")] = None,
    prefer: Annotated[
        str | None,
        HeaderParameter(
            name="Prefer",
            description="`wait=20` (seconds, at most 60) holds the answer until the status changes.",
        ),
    ] = None,
) -> Response[RecordingDocument | RecordingStatus]:
    """Read a recording. A key that only has `ingest` reads what it made itself, reduced to its status."""
    services = services_of(request)
    recording = await visible(request, recording_id)
    headers = dict(CACHING)
    wait_s = wait_seconds(prefer)
    if wait_s is not None:
        waited = True
        if recording.status not in lifecycle.TERMINAL:
            waited = await services.watcher.changed(recording_id, recording.status, timeout_s=wait_s)
            recording = await visible(request, recording_id)
        if waited:  # else clients would ask again at once, for as long as nobody can wait
            headers["Preference-Applied"] = f"wait={wait_s}"
    document = document_for(request, recording)
    headers["ETag"] = etag_of(msgspec.json.encode(document))
    if recording.status not in lifecycle.TERMINAL:
        headers["Retry-After"] = str(POLL_AGAIN_S)
    if matches(if_none_match, headers["ETag"]):
        return not_modified(headers)
    return Response(document, headers=headers)


@post(
    "/{recording_id:uuid}/retry",
    status_code=202,
    guards=[needs(Scope.MANAGE)],
    operation_class=openapi.RETRY,
    responses=openapi.problems(Code.NOT_FOUND, Code.NOT_FAILED, Code.PAYLOAD_EXPIRED),
)
async def retry_recording(request: ApiRequest, recording_id: FromPath[UUID]) -> Response[Retried]:
    """Put a failed recording back to work."""
    services, tenant_id = services_of(request), request.auth.tenant_id
    structlog.contextvars.bind_contextvars(recording_id=str(recording_id))
    try:
        status = await lifecycle.retry(
            services.db, tenant_id, recording_id, video_wait_s=services.video.wait_s
        )
    except NotFailed:
        raise ApiError(Code.NOT_FAILED, "Only a failed recording can be retried.") from None
    except PayloadExpired:
        detail = "What this recording was to be made from was kept for some time, and is gone."
        raise ApiError(Code.PAYLOAD_EXPIRED, detail) from None
    if status is None:
        raise not_found()
    if status is Status.UPLOADING and await _video_is_there(services, recording_id):
        status = Status.PROCESSING
    services.doorbell.ring()
    headers = {"Location": f"{PATH}/{recording_id}", "Retry-After": str(POLL_AGAIN_S)}
    return Response(Retried(recording_id, status), headers=headers)


@delete(
    "/{recording_id:uuid}",
    guards=[needs(Scope.MANAGE)],
    operation_class=openapi.DELETE,
    responses=openapi.problems(Code.NOT_FOUND, Code.ON_HOLD),
)
async def delete_recording(request: ApiRequest, recording_id: FromPath[UUID]) -> None:
    """Delete a recording: gone from every read at once; what was stored of it is removed soon after."""
    services = services_of(request)
    structlog.contextvars.bind_contextvars(recording_id=str(recording_id))
    try:
        found = await deletion.delete_recording(services.db, request.auth.tenant_id, recording_id)
    except deletion.OnHold:
        raise on_hold() from None
    if not found:
        raise not_found()
    services.doorbell.ring()


def not_modified(headers: Mapping[str, str]) -> Response[Any]:
    """304: what the client has is still right."""
    kept = {name: value for name, value in headers.items() if name != "Content-Encoding"}
    return Response(None, status_code=304, headers=kept)


async def visible(request: ApiRequest, recording_id: UUID) -> Recording:
    """The recording, if this caller may know of it. Raises ApiError."""
    caller = request.auth
    structlog.contextvars.bind_contextvars(recording_id=str(recording_id))
    recording = await queries.recording(services_of(request).db, caller.tenant_id, recording_id)
    if recording is None:
        raise not_found()
    if caller.is_bound and not caller.made(recording):
        raise not_found()
    return recording


def document_for(request: ApiRequest, recording: Recording) -> RecordingDocument | RecordingStatus:
    """A recording as this caller may see it."""
    return document_of(recording) if request.auth.may(Scope.READ) else status_of(recording)


async def _upload_name(
    services: Services, caller: Caller, new: NewRecording, accepted: Accepted
) -> str | None:
    """Where the video is to be put. When the request came before: as long as it is awaited."""
    if not (new.has_video and accepted.replayed):
        return accepted.upload_name
    try:
        return await video.renew_upload(
            services.db, caller.tenant_id, accepted.id, ends_s=services.video.upload_ends_s
        )
    except NotAwaited:
        return None


async def _video_is_there(services: Services, recording_id: UUID) -> bool:
    """Whether the video of a recording that missed it has come since; then it is confirmed."""
    recording = await queries.any_recording(services.db, recording_id)
    with suppress(StorageError):  # its deadline will look again
        return recording is not None and await confirm_upload(services, recording) is Confirmation.DONE
    return False


async def _new_recording(db: Database, caller: Caller, head: Head) -> NewRecording:
    if head.open:
        raise invalid("open", "is not supported yet")
    project_id, privacy = head.project_id or caller.project_id, caller.privacy
    if project_id != caller.project_id:
        found = None if caller.is_bound else await queries.privacy(db, caller.tenant_id, project_id)
        if found is None:
            raise ApiError(Code.PROJECT_NOT_FOUND, "There is no such project.")
        privacy = found
    mask = masker_of(privacy).string
    return NewRecording(
        tenant_id=caller.tenant_id,
        project_id=project_id,
        user_id=caller.user_id,
        api_key_id=caller.api_key_id,
        source=Source.UPLOAD,
        started_at=head.started_at,
        name=None if head.name is None else mask(head.name),
        ended_at=head.ended_at,
        duration_ms=head.duration_ms,
        event_count=head.event_count,
        has_video=head.has_video,
        has_audio=head.has_audio,
        navigations=[{"url": mask(page.url), "timestamp_ms": page.timestamp_ms} for page in head.navigations],
    )


HANDLERS = (create_recording, list_recordings, read_recording, retry_recording, delete_recording)
