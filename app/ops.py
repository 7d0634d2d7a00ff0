"""`/api/v1/ops`: what operators ask, across tenants: queues, jobs, failures, workers.

Everything needs the scope `operate`; without it every path is the same 403, whether there is anything there or not.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, get
from litestar.params import FromPath, FromQuery, QueryParameter

from app import openapi, openapi_ops
from app.auth import ApiRequest, needs
from app.errors import ApiError, Code
from app.ops_answers import (
    attempt_of,
    conservation_of,
    group_of,
    job_of,
    overview_of,
    page_of,
    worker_of,
)
from app.ops_documents import (
    Conservation,
    FailureGroups,
    JobDetail,
    JobList,
    Overview,
    WorkerList,
)
from app.services import Services, services_of
from app.sight import sight_of
from models import answers, conservation, filters, lives, overview
from models.filters import TEXT, TEXT_CHARS, JobFilter, Wanted
from models.job import JobKind
from models.lives import COST_LIMIT_S, GROUPS_MAX, TooCostly
from models.tenancy import Scope

PATH = "/api/v1/ops"
NO_STORE = {"Cache-Control": "no-store"}
DAY_S = 86400.0
HISTORY_S = 31 * DAY_S
NOTHING = "there is none for this; try again later"
OPERATORS = [needs(Scope.OPERATE)]

Limit = Annotated[int, QueryParameter(ge=1, le=100, description="How many at most.")]
Cursor = Annotated[UUID | None, QueryParameter(description="`next_cursor` of the page before.")]
State = Annotated[Wanted | None, QueryParameter(name="state")]
ErrorCode = Annotated[str | None, QueryParameter(max_length=64, pattern="^[a-z_]+$")]
Fingerprint = Annotated[
    str | None, QueryParameter(pattern="^[0-9a-f]{16}$", description="Of the newest attempt.")
]
ErrorText = Annotated[
    str | None,
    QueryParameter(
        min_length=1, max_length=TEXT_CHARS, pattern=TEXT, description="In the newest error; in any case."
    ),
]
WorkerName = Annotated[
    str | None,
    QueryParameter(
        min_length=1, max_length=TEXT_CHARS, pattern=TEXT, description="The process that runs it."
    ),
]
Age = Annotated[float | None, QueryParameter(ge=0, le=1e9, description="Made longer ago: seconds.")]


@get(
    "/overview",
    guards=OPERATORS,
    operation_class=openapi_ops.OVERVIEW,
    responses=openapi.problems(Code.TOO_COSTLY),
)
async def read_overview(request: ApiRequest) -> Response[Overview]:
    """The deck at a glance: whether all is well, its queues, what they need, its workers. Jobs are counted now and then: `counted_at`."""
    services = services_of(request)
    async with affordable(NOTHING):
        sight = await sight_of(services)
    if sight.seen is None:
        raise ApiError(Code.UNAVAILABLE)
    if sight.counted is None:
        raise ApiError(Code.TOO_COSTLY, "The jobs could not be counted in time. Ask GET /jobs with a kind.")
    return Response(overview_of(sight.seen, sight.counted, sight), headers=NO_STORE)


@get(
    "/jobs",
    guards=OPERATORS,
    operation_class=openapi_ops.JOBS,
    responses=openapi.problems(Code.VALIDATION_ERROR, Code.TOO_COSTLY),
)
async def list_jobs(
    request: ApiRequest,
    limit: Limit = 25,
    cursor: Cursor = None,
    kind: FromQuery[JobKind | None] = None,
    wanted: State = None,
    tenant_id: FromQuery[UUID | None] = None,
    recording_id: FromQuery[UUID | None] = None,
    error_code: ErrorCode = None,
    fingerprint: Fingerprint = None,
    older_than_s: Age = None,
    error: ErrorText = None,
    worker: WorkerName = None,
) -> Response[JobList]:
    """List jobs, newest first: those that are over only with that `state`."""
    exact = JobFilter(kind, wanted, tenant_id, recording_id, error_code, fingerprint, older_than_s)
    jobs = msgspec.structs.replace(exact, error=error, worker=worker)
    services = services_of(request)
    async with affordable():
        found = await filters.listed(services.db, jobs, limit=limit + 1, before=cursor)
    now = await lives.now(services.db)
    page, after = page_of(found, limit)
    return Response(JobList([job_of(job, now) for job in page], after), headers=NO_STORE)


@get(
    "/jobs/{job_id:uuid}",
    guards=OPERATORS,
    operation_class=openapi_ops.JOB,
    responses=openapi.problems(Code.NOT_FOUND),
)
async def read_job(request: ApiRequest, job_id: FromPath[UUID]) -> Response[JobDetail]:
    """A job: why it is not running, in a sentence, and what became of its attempts."""
    _, detail = await job_detail(services_of(request), job_id)
    return Response(detail, headers=NO_STORE)


@get(
    "/failures",
    guards=OPERATORS,
    operation_class=openapi_ops.FAILURES,
    responses=openapi.problems(Code.VALIDATION_ERROR, Code.TOO_COSTLY),
)
async def list_failures(
    request: ApiRequest,
    kind: FromQuery[JobKind | None] = None,
    tenant_id: FromQuery[UUID | None] = None,
    fingerprint: Fingerprint = None,
    since_s: Annotated[
        float,
        QueryParameter(gt=0, le=HISTORY_S, description="Attempts that ended in the last so many seconds."),
    ] = DAY_S,
    limit: Annotated[int, QueryParameter(ge=1, le=GROUPS_MAX, description="How many at most.")] = 25,
) -> Response[FailureGroups]:
    """Attempts that failed, grouped by how: kind, error and place; the most frequent first."""
    asked = {"kind": kind and kind.value, "tenant_id": tenant_id, "fingerprint": fingerprint}
    async with affordable("a smaller since_s first, then fingerprint"):
        found = await lives.failures(services_of(request).db, asked, since_s=since_s, limit=limit)
    return Response(FailureGroups([group_of(group) for group in found]), headers=NO_STORE)


@get(
    "/workers",
    guards=OPERATORS,
    operation_class=openapi_ops.WORKERS,
    responses=openapi.problems(Code.TOO_COSTLY),
)
async def list_workers(request: ApiRequest) -> Response[WorkerList]:
    """The worker processes, and how much each does."""
    async with affordable(NOTHING):
        seen = await overview.seen(services_of(request).db)
    found = [worker_of(one, seen.now, seen.running_by.get(one.name, 0)) for one in seen.workers]
    return Response(WorkerList(found), headers=NO_STORE)


@get(
    "/conservation",
    guards=OPERATORS,
    operation_class=openapi_ops.CONSERVATION,
    responses=openapi.problems(Code.VALIDATION_ERROR, Code.TOO_COSTLY),
)
async def read_conservation(
    request: ApiRequest,
    hours: Annotated[int, QueryParameter(ge=1, le=168, description="How many, the current one first.")] = 24,
    days: Annotated[int, QueryParameter(ge=1, le=31, description="As many days (UTC), today first.")] = 7,
) -> Response[Conservation]:
    """Whether every recording that was accepted is somewhere, by hours and by days; and the hours in which one is not."""
    async with affordable("fewer days"):
        found = await conservation.conservation(services_of(request).db, hours=hours, days=days)
    return Response(conservation_of(found), headers=NO_STORE)


async def job_detail(services: Services, job_id: UUID) -> tuple[datetime, JobDetail]:
    """A job, and when that was so. Raises ApiError."""
    facts = await answers.facts(
        services.db,
        job_id,
        tenant_running_max=services.tenant_running_max,
        redis_away=await services.doorbell.is_away(),
    )
    job = await filters.job(services.db, job_id)
    if facts is None or job is None:
        raise no_job()
    attempts = [attempt_of(one) for one in await filters.attempts(services.db, job_id)]
    why = answers.why_not_running(facts)
    return facts.now, JobDetail(job_of(job, facts.now), why, job.error, attempts)


@asynccontextmanager
async def affordable(
    add: str = "recording_id, state=dead or kind first, then tenant_id",
) -> AsyncIterator[None]:
    """What takes too long is refused, with what to `add`. Raises ApiError."""
    try:
        yield
    except TooCostly:
        detail = f"This took longer than {COST_LIMIT_S:.0f} s and was given up. Add a filter: {add}."
        raise ApiError(Code.TOO_COSTLY, detail) from None


def no_job() -> ApiError:
    """The same for one that was pruned and one that never was."""
    return ApiError(Code.NOT_FOUND, "There is no such job.")


def no_action() -> ApiError:
    """The same for one that was pruned and one that never was."""
    return ApiError(Code.NOT_FOUND, "There is no such action.")


HANDLERS: tuple[Any, ...] = (
    read_overview,
    list_jobs,
    read_job,
    list_failures,
    list_workers,
    read_conservation,
)
