"""`/api/v1/ops`: what operators do. Each is logged with who did it, in the transaction that does it."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath

from app import examples_ops, openapi, openapi_ops, operating
from app.auth import ApiRequest
from app.bodies import decode_small, read_body
from app.errors import POLL_AGAIN_S, Code
from app.ops import NO_STORE, OPERATORS, PATH, Cursor, Limit, no_action
from app.ops_answers import action_of, audit_of, page_of, preview_of
from app.ops_documents import ActionDocument, ActionList, ActionPreview, AuditList, Changed
from app.services import services_of
from models import action
from models.action import Verb
from models.filters import JobFilter

BODY_ERRORS = (
    Code.VALIDATION_ERROR,
    Code.REQUEST_TIMEOUT,
    Code.PAYLOAD_TOO_LARGE,
    Code.UNSUPPORTED_ENCODING,
    Code.OVERLOADED,
)


class _Order(msgspec.Struct):
    """What is to be done to which jobs."""

    verb: Verb
    filter: JobFilter
    dry_run: bool = False


_decoder = msgspec.json.Decoder(_Order)


@post(
    "/jobs/{job_id:uuid}/retry",
    status_code=200,
    guards=OPERATORS,
    operation_class=openapi_ops.RETRY,
    responses=openapi.problems(Code.NOT_FOUND, Code.NOT_APPLICABLE),
)
async def retry_job(request: ApiRequest, job_id: FromPath[UUID]) -> Response[Changed]:
    """Try a job now that died or waits for its time, with fresh budgets. A recording that failed of it goes back to work."""
    await operating.act(services_of(request), request.auth, job_id, Verb.RETRY)
    return Response(Changed(True, 1), headers=NO_STORE)


@post(
    "/jobs/{job_id:uuid}/discard",
    status_code=200,
    guards=OPERATORS,
    operation_class=openapi_ops.DISCARD,
    responses=openapi.problems(Code.NOT_FOUND, Code.NOT_APPLICABLE),
)
async def discard_job(request: ApiRequest, job_id: FromPath[UUID]) -> Response[Changed]:
    """End a job. If it was owed to its recording, that fails. Not what keeps a promise: purge, close, deadlines, masking."""
    await operating.act(services_of(request), request.auth, job_id, Verb.DISCARD)
    return Response(Changed(True, 1), headers=NO_STORE)


@post(
    "/actions",
    status_code=202,
    guards=OPERATORS,
    request_max_body_size=None,
    operation_class=openapi_ops.ACT,
    responses=openapi.problems(*BODY_ERRORS, Code.TOO_COSTLY)
    | openapi.also(200, ActionPreview, "With `dry_run`: what it would be about.", examples_ops.PREVIEW),
)
async def request_action(request: ApiRequest) -> Response[ActionDocument]:
    """Do something to all jobs that match a filter: see first which they are (`dry_run`), then a few, then the rest."""
    services, caller = services_of(request), request.auth
    async with read_body(request.receive, request.headers, services.limits, services.budget) as body:
        order = decode_small(_decoder, body)
    seen = await operating.preview(services, order.verb, order.filter)
    if order.dry_run:
        previewed: Response[Any] = Response(preview_of(seen), status_code=200, headers=NO_STORE)
        return previewed
    begun = await operating.request(services, caller, order.verb, order.filter, matched=seen.matched)
    headers = {"Location": f"{PATH}/actions/{begun.id}", "Retry-After": str(POLL_AGAIN_S)}
    return Response(action_of(begun), headers=NO_STORE | headers)


@get(
    "/actions",
    guards=OPERATORS,
    operation_class=openapi_ops.ACTIONS,
    responses=openapi.problems(Code.VALIDATION_ERROR),
)
async def list_actions(request: ApiRequest, limit: Limit = 25, cursor: Cursor = None) -> Response[ActionList]:
    """List actions, newest first."""
    found = await action.actions(services_of(request).db, limit=limit + 1, before=cursor)
    page, after = page_of(found, limit)
    return Response(ActionList([action_of(one) for one in page], after), headers=NO_STORE)


@get(
    "/actions/{action_id:uuid}",
    guards=OPERATORS,
    operation_class=openapi_ops.ACTION,
    responses=openapi.problems(Code.NOT_FOUND),
)
async def read_action(request: ApiRequest, action_id: FromPath[UUID]) -> Response[ActionDocument]:
    """How far an action is."""
    return _shown(await action.one(services_of(request).db, action_id))


@post(
    "/actions/{action_id:uuid}/stop",
    status_code=200,
    guards=OPERATORS,
    operation_class=openapi_ops.STOP,
    responses=openapi.problems(Code.NOT_FOUND),
)
async def stop_action(request: ApiRequest, action_id: FromPath[UUID]) -> Response[ActionDocument]:
    """Do no more of an action; what is done stays done."""
    return _shown(await operating.stop(services_of(request), request.auth, action_id))


@get(
    "/audit",
    guards=OPERATORS,
    operation_class=openapi_ops.AUDIT,
    responses=openapi.problems(Code.VALIDATION_ERROR),
)
async def read_audit(request: ApiRequest, limit: Limit = 25, cursor: Cursor = None) -> Response[AuditList]:
    """Who did what, when, to what, to how many; newest first."""
    found = await action.log(services_of(request).db, limit=limit + 1, before=cursor)
    page, after = page_of(found, limit)
    return Response(AuditList([audit_of(one) for one in page], after), headers=NO_STORE)


@post(
    "/refill",
    status_code=200,
    guards=OPERATORS,
    operation_class=openapi_ops.REFILL,
    responses=openapi.problems(),
)
async def refill(request: ApiRequest) -> Response[Changed]:
    """Ring again at once for everything that was rung for and not begun: after Redis was emptied."""
    count = await operating.refill(services_of(request), request.auth)
    return Response(Changed(count > 0, count), headers=NO_STORE)


def changed_of(changed: bool) -> Response[Changed]:
    """Whether something that may have been so already was changed."""
    return Response(Changed(changed, int(changed)), headers=NO_STORE)


def _shown(found: action.Action | None) -> Response[ActionDocument]:
    if found is None:
        raise no_action()
    again = {} if found.finished_at else {"Retry-After": str(POLL_AGAIN_S)}
    return Response(action_of(found), headers=NO_STORE | again)


HANDLERS: tuple[Any, ...] = (
    retry_job,
    discard_job,
    request_action,
    list_actions,
    read_action,
    stop_action,
    read_audit,
    refill,
)
