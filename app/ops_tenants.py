"""`/api/v1/ops/tenants`: who asks how much of the deck, and whose work waits."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Response, get
from litestar.params import FromPath, QueryParameter

from app import openapi, openapi_ops_tenants
from app.auth import ApiRequest
from app.documents import timestamp
from app.errors import ApiError, Code, invalid
from app.limits import Quotas
from app.ops import NO_STORE, OPERATORS, Cursor, Limit, affordable
from app.ops_answers import moment, page_of
from app.ops_tenant_documents import (
    ByStatus,
    Counted,
    ProjectDocument,
    RateLimitsDocument,
    TenantDetail,
    TenantDocument,
    TenantList,
    TenantQueue,
)
from app.services import Services, services_of
from models import tenant_load
from models.filters import COUNTED_MAX, TEXT, TEXT_CHARS
from models.recording import Status
from models.tenancy import Project
from models.tenant_load import PROJECTS_MAX, Loads, OneLoad, QueueLoad, TenantLoad

Named = Annotated[
    str | None,
    QueryParameter(
        min_length=1,
        max_length=TEXT_CHARS,
        pattern=TEXT,
        description="In their name, in any case; or their id.",
    ),
]
Sort = Annotated[
    Literal["name", "backlog"],
    QueryParameter(
        description="`backlog`: only those for whom something is due, the longest first; there is one page of them."
    ),
]


@get(
    "/tenants",
    guards=OPERATORS,
    operation_class=openapi_ops_tenants.TENANTS,
    responses=openapi.problems(Code.VALIDATION_ERROR, Code.TOO_COSTLY),
)
async def list_tenants(
    request: ApiRequest, limit: Limit = 25, cursor: Cursor = None, q: Named = None, sort: Sort = "name"
) -> Response[TenantList]:
    """List tenants with what they send, what of it waits, runs and failed."""
    found = await tenants_document(services_of(request), limit=limit, cursor=cursor, q=q, sort=sort)
    return Response(found, headers=NO_STORE)


@get(
    "/tenants/{tenant_id:uuid}",
    guards=OPERATORS,
    operation_class=openapi_ops_tenants.TENANT,
    responses=openapi.problems(Code.NOT_FOUND, Code.TOO_COSTLY),
)
async def read_tenant(request: ApiRequest, tenant_id: FromPath[UUID]) -> Response[TenantDetail]:
    """A tenant: what it sends, its jobs by queue, its recordings by status, its limits and its projects."""
    return Response(await tenant_document(services_of(request), tenant_id), headers=NO_STORE)


async def tenants_document(
    services: Services, *, limit: int, cursor: UUID | None, q: str | None, sort: str
) -> TenantList:
    """A page of tenants. Raises ApiError."""
    if sort == "backlog" and cursor is not None:
        raise invalid("cursor", "there is one page of a backlog: raise the limit")
    async with affordable("q"):
        if sort == "backlog":
            loads, after = await tenant_load.by_backlog(services.db, q, limit=limit), None
        else:
            loads = await tenant_load.by_name(services.db, q, limit=limit + 1, after=cursor)
            _, after = page_of(loads.tenants, limit)
    limits = {kind: most for kind, most in _limits(services, loads).items() if most}
    found = [tenant_of(load, loads.at) for load in loads.tenants[:limit]]
    return TenantList(timestamp(loads.at), found, limits, after)


async def tenant_document(services: Services, tenant_id: UUID) -> TenantDetail:
    """All that there is to know of a tenant. Raises ApiError: there is none."""
    async with affordable("GET /jobs?tenant_id=…&state=dead"):
        found = await tenant_load.one(services.db, tenant_id)
    if found is None:
        raise ApiError(Code.NOT_FOUND, "There is no such tenant.")
    limits = _limits(services, found.loads)
    return detail_of(found, limits, services.rates.quotas)


def tenant_of(load: TenantLoad, at: datetime) -> TenantDocument:
    """A tenant as operators see it, all its queues together."""
    return TenantDocument(**_sums(load, at))


def detail_of(found: OneLoad, limits: Mapping[str, int], quotas: Quotas) -> TenantDetail:
    """The same by queue, with all that there is to know."""
    load, at = found.tenant, found.loads.at
    by_status = {status.value: found.by_status.get(status, 0) for status in Status}
    return TenantDetail(
        **_sums(load, at),
        at=timestamp(at),
        queues=[_queue_of(queue, limits.get(queue.kind, 0), at) for queue in load.queues],
        recordings=ByStatus(**by_status, at_least=sum(by_status.values()) >= COUNTED_MAX),
        rate_limits=RateLimitsDocument(
            quotas.requests or None,
            quotas.size or None,
            quotas.project_requests or None,
            quotas.project_size or None,
        ),
        projects=[_project_of(project) for project in found.projects[:PROJECTS_MAX]],
        more_projects=len(found.projects) > PROJECTS_MAX,
    )


def _sums(load: TenantLoad, at: datetime) -> dict[str, Any]:
    since = min((queue.since for queue in load.queues if queue.since), default=None)
    return {
        "id": load.id,
        "name": load.name,
        "created_at": timestamp(load.created_at),
        "accepted_today": load.accepted_today,
        "accepted_30_days": load.accepted_lately,
        "failed": _counted(load.failed),
        "pending_bytes": Counted(load.pending_bytes, load.pending_cut),
        "due": _total(_due(queue) for queue in load.queues),
        "running": sum(queue.running for queue in load.queues),
        "dead": _total(_counted(queue.dead) for queue in load.queues),
        **_waits(since, at),
    }


def _queue_of(queue: QueueLoad, running_max: int, at: datetime) -> TenantQueue:
    return TenantQueue(
        kind=queue.kind,
        due=_due(queue),
        running=queue.running,
        dead=_counted(queue.dead),
        running_max=running_max or None,
        **_waits(queue.since, at),
    )


def _project_of(project: Project) -> ProjectDocument:
    return ProjectDocument(
        project.id,
        project.name,
        timestamp(project.created_at),
        project.masking.value,
        project.relational,
        project.retention_days,
    )


def _limits(services: Services, loads: Loads) -> dict[str, int]:
    """How many jobs of one tenant run at once, by queue; 0: any number."""
    default = services.tenant_running_max
    return {kind: default if most is None else most for kind, most in loads.limits.items()}


def _waits(since: datetime | None, at: datetime) -> dict[str, Any]:
    seconds = None if since is None else max(0.0, round((at - since).total_seconds(), 3))
    return {"oldest_due_at": moment(since), "oldest_due_s": seconds}


def _due(queue: QueueLoad) -> Counted:
    return Counted(queue.due, queue.cut)


def _counted(count: int) -> Counted:
    return Counted(count, count >= COUNTED_MAX)


def _total(counts: Iterable[Counted]) -> Counted:
    some = list(counts)
    return Counted(sum(one.count for one in some), any(one.at_least for one in some))


HANDLERS: tuple[Any, ...] = (list_tenants, read_tenant)
