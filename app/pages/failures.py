"""`/ops/failures`: the ways in which attempts failed, the most frequent first, each with what to do about it."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, get
from msgspec import Meta

from app.errors import STATUS, ApiError, Code
from app.ops import DAY_S, HISTORY_S, affordable
from app.ops_answers import group_of
from app.ops_documents import FailureGroup
from app.pages.page import Page, PageRequest, document, show
from app.services import Services, services_of
from models import lives
from models.job import JobKind

ROWS = 50
EVERY_S = 10.0
"""Groups are counted anew for each look: not as often as what is read off."""
WINDOWS = (("1 h", 3600), ("24 h", 86_400), ("7 d", 604_800), ("31 d", 2_678_400))


class _Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which failures: by the names of GET /api/v1/ops/failures."""

    kind: JobKind | None = None
    tenant_id: UUID | None = None
    fingerprint: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")] | None = None
    since_s: Annotated[float, Meta(gt=0, le=HISTORY_S)] = DAY_S


_MUST = {
    "kind": "must be one of the queues",
    "tenant_id": "must be a whole id",
    "fingerprint": "must be 16 of 0-9 and a-f",
    "since_s": "must be a number of seconds, at most 31 days",
}


@get("/failures")
async def failures(request: PageRequest) -> Response[Any]:
    """The groups. What cannot be asked for, or costs too much, is said on the page."""
    services = services_of(request)
    sent = {name: value for name in _MUST if (value := request.query_params.get(name, "").strip())}
    try:
        asked = msgspec.convert(sent, _Asked, strict=False)
    except msgspec.ValidationError as error:
        wrong = [f"{name} {must}" for name, must in _MUST.items() if f"$.{name}`" in str(error)]
        return document(
            request, _page(_Asked(), problem="; ".join(wrong)), status=STATUS[Code.VALIDATION_ERROR]
        )

    async def look() -> Page:
        return await _found(services, asked)

    try:
        return await show(request, look, every_s=EVERY_S)
    except ApiError as error:
        if error.code is not Code.TOO_COSTLY:
            raise
        return document(request, _page(asked, problem=error.detail), status=STATUS[error.code])


async def _found(services: Services, asked: _Asked) -> Page:
    values = {"kind": asked.kind, "tenant_id": asked.tenant_id, "fingerprint": asked.fingerprint}
    async with affordable("a shorter time first"):
        found = await lives.failures(services.db, values, since_s=asked.since_s, limit=ROWS)
    now = (await lives.now(services.db)).isoformat()
    return _page(asked, found=[group_of(group) for group in found], now=now)


def _page(
    asked: _Asked, *, found: list[FailureGroup] | None = None, now: str | None = None, problem: str = ""
) -> Page:
    given: dict[str, Any] = msgspec.to_builtins(asked)
    values = {
        "given": given,
        "asked": asked,
        "windows": WINDOWS,
        "kinds": tuple(JobKind),
        "groups": found,
        "now": now,
        "problem": problem,
        "is_full": len(found or ()) == ROWS,
    }
    return Page("failures.html", "Failures", values)


HANDLERS = (failures,)
