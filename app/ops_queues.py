"""`/api/v1/ops/queues`: what operators ask of queues: pause, resume, limit."""

from typing import Annotated, Any

import msgspec
from litestar import Response, post, put
from litestar.params import FromPath
from msgspec import UNSET, Meta, UnsetType

from app import openapi, openapi_ops, operating
from app.auth import ApiRequest
from app.bodies import decode_small, read_body
from app.errors import Code, invalid
from app.ops import OPERATORS
from app.ops_actions import BODY_ERRORS, changed_of
from app.ops_documents import Changed
from app.services import services_of
from models.queues import Limits

_Most = Annotated[int, Meta(ge=0, le=openapi_ops.RUNNING_MAX)] | None | UnsetType


class _Limits(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be limited: null is the deck's setting, 0 no limit; what is absent stays as it is."""

    running_max: _Most = UNSET
    tenant_running_max: _Most = UNSET

    @property
    def given(self) -> Limits:
        given: Limits = {}
        if self.running_max is not UNSET:
            given["running_max"] = self.running_max
        if self.tenant_running_max is not UNSET:
            given["tenant_running_max"] = self.tenant_running_max
        return given


_decoder = msgspec.json.Decoder(_Limits)


@post(
    "/queues/{kind:str}/pause",
    status_code=200,
    guards=OPERATORS,
    operation_class=openapi_ops.PAUSE,
    responses=openapi.problems(Code.NOT_FOUND),
)
async def pause_queue(request: ApiRequest, kind: FromPath[str]) -> Response[Changed]:
    """Begin no more jobs of a kind; those that run go on, and what comes waits."""
    return changed_of(await operating.switch(services_of(request), request.auth, kind, paused=True))


@post(
    "/queues/{kind:str}/resume",
    status_code=200,
    guards=OPERATORS,
    operation_class=openapi_ops.RESUME,
    responses=openapi.problems(Code.NOT_FOUND),
)
async def resume_queue(request: ApiRequest, kind: FromPath[str]) -> Response[Changed]:
    """Go on with a kind of jobs."""
    return changed_of(await operating.switch(services_of(request), request.auth, kind, paused=False))


@put(
    "/queues/{kind:str}/limits",
    guards=OPERATORS,
    request_max_body_size=None,
    operation_class=openapi_ops.LIMIT,
    responses=openapi.problems(*BODY_ERRORS, Code.NOT_FOUND),
)
async def limit_queue(request: ApiRequest, kind: FromPath[str]) -> Response[Changed]:
    """Say how many jobs of a kind may run at once, of all tenants and of each; those that run go on."""
    services, known = services_of(request), operating.kind_of(kind)
    async with read_body(request.receive, request.headers, services.limits, services.budget) as body:
        limits = decode_small(_decoder, body).given
    if not limits:
        raise invalid(None, "running_max, tenant_running_max, or both must be there")
    return changed_of(await operating.limit(services, request.auth, known, limits))


HANDLERS: tuple[Any, ...] = (pause_queue, resume_queue, limit_queue)
