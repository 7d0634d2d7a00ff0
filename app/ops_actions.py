"""`/api/v1/ops`: what operators do. Each is logged with who did it, in the transaction that does it."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath

from app import examples_ops, openapi, openapi_ops
from app.auth import ApiRequest
from app.bodies import decode_small, read_body
from app.errors import POLL_AGAIN_S, ApiError, Code, invalid
from app.ops import NO_STORE, OPERATORS, PATH, Cursor, Limit, affordable, no_job
from app.ops_answers import action_of, audit_of, page_of, preview_of
from app.ops_documents import ActionDocument, ActionList, ActionPreview, AuditList, Changed
from app.services import services_of
from models import acting, action, answers, filters
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


async def _act(request: ApiRequest, job_id: UUID, verb: Verb) -> Response[Changed]:
    services, caller = services_of(request), request.auth
    async with services.db.transaction() as session:
        changed = await acting.apply(session, verb, job_id, JobFilter(), video_wait_s=services.video.wait_s)
        if changed:
            by = await action.who(session, caller.user_id, caller.api_key_id)
            action.audit(session, by, verb.value, f"job {job_id}", 1)
    if not changed:
        if (facts := await answers.facts(services.db, job_id)) is None:
            raise no_job()
        detail = f"There is nothing to {verb.value} about this job. {answers.why_not_running(facts)}"
        raise ApiError(Code.NOT_APPLICABLE, detail)
    services.doorbell.ring()
    return Response(Changed(True, 1), headers=NO_STORE)


@post(
    "/jobs/{job_id:uuid}/retry",
    status_code=200,
    guards=OPERATORS,
    operation_class=openapi_ops.RETRY,
    responses=openapi.problems(Code.NOT_FOUND, Code.NOT_APPLICABLE),
)
async def retry_job(request: ApiRequest, job_id: FromPath[UUID]) -> Response[Changed]:
    """Try a job now that died or waits for its time, with fresh budgets. A recording that failed of it goes back to work."""
    return await _act(request, job_id, Verb.RETRY)


@post(
    "/jobs/{job_id:uuid}/discard",
    status_code=200,
    guards=OPERATORS,
    operation_class=openapi_ops.DISCARD,
    responses=openapi.problems(Code.NOT_FOUND, Code.NOT_APPLICABLE),
)
async def discard_job(request: ApiRequest, job_id: FromPath[UUID]) -> Response[Changed]:
    """End a job. If it was owed to its recording, that fails. Not what keeps a promise: purge, close, deadlines, masking."""
    return await _act(request, job_id, Verb.DISCARD)


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
    if order.filter == JobFilter():
        raise invalid("filter", "must have at least one condition")
    if order.filter.state in filters.OVER:
        raise invalid("filter.state", "must be a state of jobs that are not over")
    async with affordable():
        seen = await filters.preview(services.db, order.filter, acting.applicable(order.verb))
    if order.dry_run:
        previewed: Response[Any] = Response(preview_of(seen), status_code=200, headers=NO_STORE)
        return previewed
    async with services.db.transaction() as session:
        by = await action.who(session, caller.user_id, caller.api_key_id)
        begun = await action.request(session, by, order.verb, order.filter, matched=seen.matched)
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
    caller = request.auth
    async with services_of(request).db.transaction() as session:
        by = await action.who(session, caller.user_id, caller.api_key_id)
        stopped = await action.stop(session, action_id, by)
    return _shown(stopped)


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
    services, caller = services_of(request), request.auth
    async with services.db.transaction() as session:
        by = await action.who(session, caller.user_id, caller.api_key_id)
        count = await acting.refill(session)
        action.audit(session, by, "refill", "Redis", count)
    services.doorbell.ring()
    return Response(Changed(count > 0, count), headers=NO_STORE)


def _shown(found: action.Action | None) -> Response[ActionDocument]:
    if found is None:
        raise ApiError(Code.NOT_FOUND, "There is no such action.")
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
