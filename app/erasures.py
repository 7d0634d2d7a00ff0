"""`/api/v1/erasures`: erase everything of a session, fingerprint, user, project or tenant, and certify it."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
import structlog
from litestar import Response, get, post
from litestar.params import FromPath, QueryParameter
from msgspec import Meta

from app import examples, openapi
from app.auth import ApiRequest, Caller, needs
from app.bodies import decode_small, read_body
from app.erasure_documents import (
    PAGE_MAX,
    ErasureDocument,
    ErasurePreview,
    certificate_of,
    document_of,
)
from app.errors import POLL_AGAIN_S, ApiError, Code, invalid
from app.services import Services, services_of
from models import erasure, queries
from models.erasure import Progress, Subject
from models.tenancy import Scope

PATH = "/api/v1/erasures"
NO_STORE = {"Cache-Control": "no-store"}
EXACTLY_ONE = f"Name exactly one of {', '.join(Subject)}."

_Text = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]


class _Sent(msgspec.Struct):
    """Whose recordings: exactly one of the first five."""

    session_id: _Text | None = None
    fingerprint: _Text | None = None
    user_id: UUID | None = None
    project_id: UUID | None = None
    tenant_id: UUID | None = None
    dry_run: bool = False


_decoder = msgspec.json.Decoder(_Sent)


@post(
    "/",
    status_code=202,
    guards=[needs(Scope.MANAGE)],
    request_max_body_size=None,
    operation_class=openapi.ERASE,
    responses=openapi.problems(
        Code.VALIDATION_ERROR,
        Code.PROJECT_NOT_FOUND,
        Code.REQUEST_TIMEOUT,
        Code.PAYLOAD_TOO_LARGE,
        Code.UNSUPPORTED_ENCODING,
        Code.OVERLOADED,
    )
    | openapi.also(200, ErasurePreview, "With `dry_run`: what would be erased.", examples.ERASURE_PREVIEW),
)
async def request_erasure(request: ApiRequest) -> Response[ErasureDocument]:
    """Erase everything of a subject that was accepted so far, whatever its status; see what that would be first."""
    services, caller = services_of(request), request.auth
    async with read_body(request.receive, request.headers, services.limits, services.budget) as body:
        sent = decode_small(_decoder, body)
    subject, value = _subject(sent)
    await _check_own(services, caller, subject, value)
    if sent.dry_run:
        found = await erasure.preview(services.db, caller.tenant_id, subject, value)
        seen = ErasurePreview(True, found.recordings, found.on_hold, found.bytes)
        previewed: Response[Any] = Response(seen, status_code=200, headers=NO_STORE)
        return previewed
    requested = await erasure.request(services.db, caller.tenant_id, subject, value)
    structlog.contextvars.bind_contextvars(erasure_id=str(requested.id))
    headers = NO_STORE | {"Location": f"{PATH}/{requested.id}", "Retry-After": str(POLL_AGAIN_S)}
    return Response(document_of(Progress(requested, 0, 0, 0), [], None), headers=headers)


@get(
    "/{erasure_id:uuid}",
    guards=[needs(Scope.READ)],
    operation_class=openapi.READ_ERASURE,
    responses=openapi.problems(Code.VALIDATION_ERROR, Code.NOT_FOUND),
)
async def read_erasure(
    request: ApiRequest,
    erasure_id: FromPath[UUID],
    limit: Annotated[
        int,
        QueryParameter(ge=1, le=PAGE_MAX, description="How many recordings the certificate lists at most."),
    ] = PAGE_MAX,
    cursor: Annotated[
        UUID | None, QueryParameter(description="`next_cursor` of the certificate's page before.")
    ] = None,
) -> Response[ErasureDocument]:
    """How far an erasure is; its certificate, once it is done."""
    db = services_of(request).db
    progress = await erasure.progress(db, request.auth.tenant_id, erasure_id)
    if progress is None:
        raise ApiError(Code.NOT_FOUND, "There is no such erasure.")
    held = await erasure.erased_recordings(db, erasure_id, on_hold=True, limit=PAGE_MAX)
    on_hold = [one.recording_id for one in held]
    if progress.erasure.finished_at is None:
        headers = NO_STORE | {"Retry-After": str(POLL_AGAIN_S)}
        return Response(document_of(progress, on_hold, None), headers=headers)
    listed = await erasure.erased_recordings(db, erasure_id, on_hold=False, limit=limit + 1, after=cursor)
    certificate = certificate_of(progress, listed, limit)
    return Response(document_of(progress, on_hold, certificate), headers=NO_STORE)


def _subject(sent: _Sent) -> tuple[Subject, str]:
    named = [(subject, value) for subject in Subject if (value := getattr(sent, subject)) is not None]
    if len(named) != 1:
        raise invalid(None, EXACTLY_ONE)
    return named[0][0], str(named[0][1])


async def _check_own(services: Services, caller: Caller, subject: Subject, value: str) -> None:
    """A tenant erases its own recordings only. Raises ApiError."""
    if subject is Subject.TENANT and value != str(caller.tenant_id):
        raise invalid(subject, "must be the tenant that the key belongs to")
    if subject is not Subject.PROJECT:
        return
    if await queries.privacy(services.db, caller.tenant_id, UUID(value)) is None:
        raise ApiError(Code.PROJECT_NOT_FOUND, "There is no such project.")


HANDLERS = (request_erasure, read_erasure)
