"""`/api/v1/ops`: the processes of the deck, and what operators ask of workers."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from app import openapi, openapi_ops, operating
from app.auth import ApiRequest
from app.errors import Code
from app.ops import NO_STORE, NOTHING, OPERATORS, affordable
from app.ops_actions import changed_of
from app.ops_answers import process_of
from app.ops_documents import Changed, ProcessList
from app.services import services_of
from models import overview


@get(
    "/processes",
    guards=OPERATORS,
    operation_class=openapi_ops.PROCESSES,
    responses=openapi.problems(Code.TOO_COSTLY),
)
async def list_processes(request: ApiRequest) -> Response[ProcessList]:
    """The processes of the deck: web, workers, dispatchers."""
    async with affordable(NOTHING):
        seen = await overview.seen(services_of(request).db)
    found = [process_of(one, seen.now, seen.running_by.get(one.name, 0)) for one in seen.processes]
    return Response(ProcessList(found), headers=NO_STORE)


@post(
    "/workers/{worker_id:uuid}/drain",
    status_code=200,
    guards=OPERATORS,
    operation_class=openapi_ops.DRAIN,
    responses=openapi.problems(Code.NOT_FOUND),
)
async def drain_worker(request: ApiRequest, worker_id: FromPath[UUID]) -> Response[Changed]:
    """Have a worker process begin no more jobs; it stays, and finishes those that it runs."""
    return changed_of(await operating.drain(services_of(request), request.auth, worker_id, drains=True))


@post(
    "/workers/{worker_id:uuid}/resume",
    status_code=200,
    guards=OPERATORS,
    operation_class=openapi_ops.UNDRAIN,
    responses=openapi.problems(Code.NOT_FOUND),
)
async def resume_worker(request: ApiRequest, worker_id: FromPath[UUID]) -> Response[Changed]:
    """Have a worker process that drains begin jobs again."""
    return changed_of(await operating.drain(services_of(request), request.auth, worker_id, drains=False))


HANDLERS: tuple[Any, ...] = (list_processes, drain_worker, resume_worker)
