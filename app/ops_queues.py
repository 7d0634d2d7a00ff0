"""`/api/v1/ops/queues`: what operators ask of queues: pause, resume, limit."""

from typing import Annotated, Any

import msgspec
from litestar import Response, post, put
from litestar.params import FromPath
from msgspec import UNSET, Meta, UnsetType

from app import openapi, openapi_ops
from app.auth import ApiRequest
from app.bodies import decode_small, read_body
from app.errors import ApiError, Code, invalid
from app.ops import NO_STORE, OPERATORS
from app.ops_actions import BODY_ERRORS
from app.ops_documents import Changed
from app.services import services_of
from models import action, queues
from models.job import JobKind
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
    return await _switch(request, kind, paused=True)


@post(
    "/queues/{kind:str}/resume",
    status_code=200,
    guards=OPERATORS,
    operation_class=openapi_ops.RESUME,
    responses=openapi.problems(Code.NOT_FOUND),
)
async def resume_queue(request: ApiRequest, kind: FromPath[str]) -> Response[Changed]:
    """Go on with a kind of jobs."""
    return await _switch(request, kind, paused=False)


@put(
    "/queues/{kind:str}/limits",
    guards=OPERATORS,
    request_max_body_size=None,
    operation_class=openapi_ops.LIMIT,
    responses=openapi.problems(*BODY_ERRORS, Code.NOT_FOUND),
)
async def limit_queue(request: ApiRequest, kind: FromPath[str]) -> Response[Changed]:
    """Say how many jobs of a kind may run at once, of all tenants and of each; those that run go on."""
    services, caller, known = services_of(request), request.auth, _kind(kind)
    async with read_body(request.receive, request.headers, services.limits, services.budget) as body:
        limits = decode_small(_decoder, body).given
    if not limits:
        raise invalid(None, "running_max, tenant_running_max, or both must be there")
    async with services.db.transaction() as session:
        by = await action.who(session, caller.user_id, caller.api_key_id)
        if changed := await queues.limit(session, known, **limits):
            action.audit(session, by, "limit", f"queue {known.value}", **limits)
    services.doorbell.ring()
    return Response(Changed(changed, int(changed)), headers=NO_STORE)


async def _switch(request: ApiRequest, name: str, *, paused: bool) -> Response[Changed]:
    services, caller = services_of(request), request.auth
    kind = _kind(name)
    async with services.db.transaction() as session:
        by = await action.who(session, caller.user_id, caller.api_key_id)
        changed = await (queues.pause(session, kind, by) if paused else queues.resume(session, kind))
        if changed:
            action.audit(session, by, "pause" if paused else "resume", f"queue {kind.value}")
    services.doorbell.ring()
    return Response(Changed(changed, int(changed)), headers=NO_STORE)


def _kind(name: str) -> JobKind:
    if name not in set(JobKind):
        raise ApiError(Code.NOT_FOUND, "There is no such queue.")
    return JobKind(name)


HANDLERS: tuple[Any, ...] = (pause_queue, resume_queue, limit_queue)
