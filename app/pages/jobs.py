"""`/ops/jobs`: jobs that match, the newest first, and what can be done about them: one, some, or all that match."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from litestar import Response, get

from app.errors import STATUS, ApiError, Code
from app.ops import affordable
from app.ops_answers import job_of, page_of
from app.ops_documents import JobDocument
from app.pages.environment import query
from app.pages.job_filter import CONTROLS, SELECTION, Asked, asked_of, phrases_of
from app.pages.page import Page, PageRequest, cursor_of, document, show
from app.services import Services, services_of
from models import filters, lives
from models.acting import DISCARDABLE
from models.filters import OVER, JobFilter, Wanted
from models.job import JobFields

ROWS = 50
ERROR_CHARS = 200
_RETRIED = (None, Wanted.DEAD, Wanted.SCHEDULED)


class Row(NamedTuple):
    """A job in a list: `error` is one line of what it says; and whether it can be retried or discarded."""

    job: JobDocument
    error: str
    may_retry: bool
    may_discard: bool


@get("/jobs")
async def jobs(request: PageRequest) -> Response[Any]:
    """The list. What cannot be asked for, or costs too much, is said beside the form, which keeps what was asked."""
    services = services_of(request)
    sent = request.query_params.dict()
    sent.pop(SELECTION, None)  # a list is no selection
    asked = asked_of(sent)
    cursor = cursor_of(request)
    if asked.faults:
        return document(request, _page(asked, cursor=cursor), status=STATUS[Code.VALIDATION_ERROR])

    async def look() -> Page:
        found, now = await _found(services, asked.jobs, cursor)
        return _page(asked, cursor=cursor, found=found, now=now)

    try:
        return await show(request, look)
    except ApiError as error:
        if error.code is not Code.TOO_COSTLY:
            raise
        return document(request, _page(asked, cursor=cursor, problem=error.detail), status=STATUS[error.code])


def row_of(job: JobFields, now: datetime) -> Row:
    """A job as the list shows it."""
    shown = job_of(job, now)
    is_over = shown.state in OVER
    return Row(
        shown,
        (job.error or "").strip().rpartition("\n")[2][:ERROR_CHARS],
        may_retry=shown.state in ("dead", "scheduled"),
        may_discard=not is_over and job.kind in DISCARDABLE,
    )


async def _found(services: Services, jobs: JobFilter, before: UUID | None) -> tuple[list[Row], datetime]:
    async with affordable():
        found = await filters.listed(services.db, jobs, limit=ROWS + 1, before=before)
    now = await lives.now(services.db)
    return [row_of(job, now) for job in found], now


def _page(
    asked: Asked,
    *,
    cursor: UUID | None,
    found: list[Row] | None = None,
    now: datetime | None = None,
    problem: str = "",
) -> Page:
    rows, after = page_of([row.job for row in found or []], ROWS)
    jobs = asked.jobs
    may_act = jobs != JobFilter() and jobs.state not in OVER
    values = {
        "asked": asked,
        "controls": CONTROLS,
        "chips": [
            (phrase, query(**{name: value for name, value in asked.given.items() if name != phrase.name}))
            for phrase in phrases_of(msgspec.to_builtins(jobs))
        ],
        "more_open": any(one.name in asked.given for one in CONTROLS if not one.is_first),
        "problem": problem,
        "rows": (found or [])[: len(rows)],
        "is_listed": found is not None,
        "is_over": jobs.state in OVER,
        "now": now and now.isoformat(),
        "cursor": cursor,
        "after": after,
        "retry_all": may_act and jobs.state in _RETRIED,
        "discard_all": may_act and (jobs.kind is None or jobs.kind in DISCARDABLE),
    }
    return Page("jobs.html", "Jobs", values)


HANDLERS = (jobs,)
