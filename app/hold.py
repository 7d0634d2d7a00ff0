"""A recording's hold: while it is on, nothing deletes the recording."""

from uuid import UUID

import structlog
from litestar import Response, delete, get, put
from litestar.params import FromPath

from app import openapi
from app.auth import ApiRequest, needs
from app.documents import Hold, timestamp
from app.errors import Code, not_found
from app.recordings import CACHING, visible
from app.services import services_of
from models import deletion
from models.tenancy import Scope


@put(
    "/{recording_id:uuid}/hold",
    status_code=204,
    guards=[needs(Scope.MANAGE)],
    operation_class=openapi.HOLD,
    responses=openapi.problems(Code.NOT_FOUND),
)
async def hold_recording(request: ApiRequest, recording_id: FromPath[UUID]) -> None:
    """Keep a recording from being deleted, by anybody and by time. Again: nothing changes."""
    structlog.contextvars.bind_contextvars(recording_id=str(recording_id))
    if not await deletion.hold(services_of(request).db, request.auth.tenant_id, recording_id):
        raise not_found()


@delete(
    "/{recording_id:uuid}/hold",
    guards=[needs(Scope.MANAGE)],
    operation_class=openapi.RELEASE,
    responses=openapi.problems(Code.NOT_FOUND),
)
async def release_recording(request: ApiRequest, recording_id: FromPath[UUID]) -> None:
    """Let a recording be deleted again. It is, soon, if its project would not have kept it so long."""
    structlog.contextvars.bind_contextvars(recording_id=str(recording_id))
    if not await deletion.release(services_of(request).db, request.auth.tenant_id, recording_id):
        raise not_found()


@get(
    "/{recording_id:uuid}/hold",
    guards=[needs(Scope.READ)],
    operation_class=openapi.READ_HOLD,
    responses=openapi.problems(Code.NOT_FOUND),
)
async def read_hold(request: ApiRequest, recording_id: FromPath[UUID]) -> Response[Hold]:
    """Whether a recording is on hold."""
    held_at = (await visible(request, recording_id)).held_at
    return Response(Hold(held_at is not None, timestamp(held_at) if held_at else None), headers=CACHING)


HANDLERS = (hold_recording, release_recording, read_hold)
