"""Masking a recording after the fact: asking for it, trying it, watching it.

POST …/mask ──▶ a request in Postgres ──▶ the job `mask`
  └─dry_run──▶ what it would mask, told here and now
"""

from dataclasses import replace
from uuid import UUID

import msgspec
import structlog
from litestar import Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from app import examples, openapi
from app.auth import ApiRequest, needs
from app.bodies import read_body
from app.documents import MaskDryRun, MaskingDocument
from app.errors import POLL_AGAIN_S, Code, invalid, not_found, on_hold
from app.mask_trial import try_masking
from app.openapi_complete import Shown
from app.recordings import PATH
from app.services import services_of
from models import masking
from models.deletion import OnHold
from models.masking import Progress
from models.tenancy import Scope
from replay.privacy import BadRules, Rules, check_rules, decoded

BODY_BYTES = 1 << 20  # more than all the rules that there may be


class MaskOrder(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request. A misspelt `dry_run` must not mask: it is refused, as anything unknown here."""

    rules: Rules = Rules()
    dry_run: bool = False


@post(
    "/{recording_id:uuid}/mask",
    status_code=202,
    guards=[needs(Scope.MANAGE)],
    operation_class=openapi.MASK,
    responses=openapi.problems(
        Code.VALIDATION_ERROR,
        Code.NOT_FOUND,
        Code.REQUEST_TIMEOUT,
        Code.NOT_READY,
        Code.RECORDING_FAILED,
        Code.ON_HOLD,
        Code.PAYLOAD_TOO_LARGE,
        Code.UNSUPPORTED_ENCODING,
        Code.OVERLOADED,
    )
    | {
        200: ResponseSpec(
            MaskDryRun,
            generate_examples=False,
            description="The answer to a dry run.",
            examples=[Shown(id="dry_run", value=examples.MASK_DRY_RUN)],
        )
    },
)
async def mask_recording(
    request: ApiRequest, recording_id: FromPath[UUID]
) -> Response[MaskingDocument | MaskDryRun]:
    """Mask what is kept of a recording, for good: it stays readable, and then is another, from one moment to the next."""
    services, tenant_id = services_of(request), request.auth.tenant_id
    structlog.contextvars.bind_contextvars(recording_id=str(recording_id))
    limits = replace(services.limits, max_body_bytes=BODY_BYTES, max_events_bytes=BODY_BYTES)
    async with read_body(request.receive, request.headers, limits, services.budget) as body:
        order = _decode(body)
    if order.dry_run:
        kept = await masking.kept(services.db, tenant_id, recording_id)
        if kept is None:
            raise not_found()
        return Response(await try_masking(services, kept, order.rules), status_code=200)
    try:
        status = await masking.ask(services.db, tenant_id, recording_id, order.rules)
    except OnHold:
        raise on_hold() from None
    if status is None:
        raise not_found()
    services.doorbell.ring()
    headers = {"Location": f"{PATH}/{recording_id}/mask", "Retry-After": str(POLL_AGAIN_S)}
    return Response(MaskingDocument(recording_id, status, Progress.PENDING), headers=headers)


@get(
    "/{recording_id:uuid}/mask",
    guards=[needs(Scope.READ, Scope.MANAGE)],
    operation_class=openapi.MASKING,
    responses=openapi.problems(Code.NOT_FOUND),
)
async def read_masking(request: ApiRequest, recording_id: FromPath[UUID]) -> Response[MaskingDocument]:
    """Whether a recording is masked by all that was asked for."""
    found = await masking.progress(services_of(request).db, request.auth.tenant_id, recording_id)
    if found is None:
        raise not_found()
    status, progress = found
    again = {"Retry-After": str(POLL_AGAIN_S)} if progress is Progress.PENDING else {}
    return Response(
        MaskingDocument(recording_id, status, progress), headers={"Cache-Control": "no-store", **again}
    )


def _decode(body: bytearray) -> MaskOrder:
    if not body:
        return MaskOrder()
    try:
        order = decoded(body, MaskOrder)
    except BadRules as error:
        raise invalid(error.field or None, error.message) from None
    try:
        check_rules(order.rules)
    except BadRules as error:
        raise invalid(f"rules.{error.field}", error.message) from None
    return order


HANDLERS = (mask_recording, read_masking)
