"""Forms about queues and what works on them: each does one thing, says so, and the page looks again."""

from typing import Any
from uuid import UUID

from litestar import Response, post
from litestar.params import FromPath

from app import operating
from app.pages.forms import acted
from app.pages.page import PageRequest
from app.services import services_of


@post("/queues/{kind:str}/pause")
async def pause(request: PageRequest, kind: FromPath[str]) -> Response[Any]:
    """Begin no more jobs of a kind."""
    changed = await operating.switch(services_of(request), request.auth, kind, paused=True)
    return acted(
        request, f"{kind} is paused: what comes waits." if changed else f"{kind} was paused already."
    )


@post("/queues/{kind:str}/resume")
async def resume(request: PageRequest, kind: FromPath[str]) -> Response[Any]:
    """Go on with a kind of jobs."""
    changed = await operating.switch(services_of(request), request.auth, kind, paused=False)
    return acted(request, f"{kind} goes on." if changed else f"{kind} was not paused.")


@post("/workers/{worker_id:uuid}/drain")
async def drain(request: PageRequest, worker_id: FromPath[UUID]) -> Response[Any]:
    """Have a worker process begin no more jobs."""
    changed = await operating.drain(services_of(request), request.auth, worker_id)
    return acted(request, "It drains: it finishes what it runs." if changed else "It was draining already.")


@post("/refill")
async def refill(request: PageRequest) -> Response[Any]:
    """Ring again for what was rung for and not begun."""
    count = await operating.refill(services_of(request), request.auth)
    return acted(request, f"Rung again for {count} jobs." if count else "Nothing waits in Redis.")


HANDLERS = (pause, resume, drain, refill)
