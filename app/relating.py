"""Having a recording's events written as rows: asked for here, done by the job `relate`."""

from uuid import UUID

import structlog
from litestar import Response, post
from litestar.params import FromPath

from app import openapi
from app.auth import ApiRequest, needs
from app.documents import Relating
from app.errors import POLL_AGAIN_S, ApiError, Code, not_found
from app.recordings import PATH
from app.services import services_of
from models import relating
from models.recording import Status
from models.relating import NotReady
from models.tenancy import Scope


@post(
    "/{recording_id:uuid}/relate",
    status_code=202,
    guards=[needs(Scope.MANAGE)],
    operation_class=openapi.RELATE,
    responses=openapi.problems(Code.NOT_FOUND, Code.NOT_READY, Code.RECORDING_FAILED),
)
async def relate_recording(request: ApiRequest, recording_id: FromPath[UUID]) -> Response[Relating]:
    """Write a recording's events as rows in the database, by a job; again if there are some. Its status stays."""
    services = services_of(request)
    structlog.contextvars.bind_contextvars(recording_id=str(recording_id))
    try:
        status = await relating.ask(services.db, request.auth.tenant_id, recording_id)
    except NotReady as error:
        if error.status is Status.FAILED:
            detail = "This recording failed before there was anything to make rows from."
            raise ApiError(Code.RECORDING_FAILED, detail) from None
        detail = "This recording has not been processed yet."
        raise ApiError(Code.NOT_READY, detail, headers={"Retry-After": str(POLL_AGAIN_S)}) from None
    if status is None:
        raise not_found()
    services.doorbell.ring()
    headers = {"Location": f"{PATH}/{recording_id}"}
    return Response(Relating(recording_id, status), headers=headers)


HANDLERS = (relate_recording,)
