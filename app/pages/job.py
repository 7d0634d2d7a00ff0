"""`/ops/jobs/{id}`: one job. Why it is not running, what became of its attempts, and what can be done about it."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from app import operating
from app.errors import STATUS, ApiError, Code
from app.ops import job_detail
from app.pages.forms import acted
from app.pages.page import Page, PageRequest, document, show
from app.services import Services, services_of
from models.acting import DISCARDABLE
from models.action import Verb
from models.filters import OVER

_DISCARDABLE = {kind.value for kind in DISCARDABLE}


@get("/jobs/{job_id:uuid}")
async def job(request: PageRequest, job_id: FromPath[UUID]) -> Response[Any]:
    """The job; one that is gone is a page, too."""

    async def look() -> Page:
        return await _page(services_of(request), job_id, "job.html")

    return await _shown(request, job_id, look)


@post("/jobs/{job_id:uuid}/retry")
async def retry(request: PageRequest, job_id: FromPath[UUID]) -> Response[Any]:
    """Try it again now."""
    await operating.act(services_of(request), request.auth, job_id, Verb.RETRY)
    return acted(request, "It is due now, with fresh budgets.")


@get("/jobs/{job_id:uuid}/discard")
async def ask_discard(request: PageRequest, job_id: FromPath[UUID]) -> Response[Any]:
    """What discarding it means, and whether that is wanted."""

    async def look() -> Page:
        return await _page(services_of(request), job_id, "job_discard.html")

    return await _shown(request, job_id, look)


@post("/jobs/{job_id:uuid}/discard")
async def discard(request: PageRequest, job_id: FromPath[UUID]) -> Response[Any]:
    """End it."""
    await operating.act(services_of(request), request.auth, job_id, Verb.DISCARD)
    return acted(request, "It is discarded.")


async def _shown(request: PageRequest, job_id: UUID, look: Any) -> Response[Any]:
    try:
        return await show(request, look)
    except ApiError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        gone = Page("job_gone.html", "No such job", {"id": str(job_id)})
        return document(request, gone, status=STATUS[error.code])


async def _page(services: Services, job_id: UUID, template: str) -> Page:
    now, detail = await job_detail(services, job_id)
    shown = detail.job
    values = {
        "detail": detail,
        "job": shown,
        "now": now.isoformat(),
        "may_retry": shown.state in ("dead", "scheduled"),
        "may_discard": shown.state not in OVER and shown.kind in _DISCARDABLE,
        "fingerprint": next((one.fingerprint for one in detail.attempts if one.fingerprint), None),
    }
    return Page(template, f"Job {str(job_id)[:8]}", values)


HANDLERS = (job, retry, ask_discard, discard)
