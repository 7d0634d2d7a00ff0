"""Forms about queues and what works on them: each does one thing, says so, and the page looks again."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from app import operating
from app.describe import plural
from app.errors import invalid
from app.openapi_ops import RUNNING_MAX
from app.pages.forms import acted, form_of, one
from app.pages.page import Page, PageRequest, document
from app.services import services_of
from models import queues
from models.queues import Limits


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


@get("/queues/{kind:str}/limits")
async def asked_limits(request: PageRequest, kind: FromPath[str]) -> Response[Any]:
    """The form that limits a queue."""
    known = operating.kind_of(kind)
    async with services_of(request).db.reading() as session:
        queue = next(one for one in await queues.all_of(session) if one.kind is known)
    return document(request, Page("limits.html", f"Limits of {known.value}", {"queue": queue}))


@post("/queues/{kind:str}/limits")
async def limit(request: PageRequest, kind: FromPath[str]) -> Response[Any]:
    """Say how many jobs of a kind may run at once."""
    known, form = operating.kind_of(kind), form_of(request)
    limits: Limits = {name: _most(one(form, name), name) for name in ("running_max", "tenant_running_max")}  # type: ignore[assignment]  # the names are Limits' own
    changed = await operating.limit(services_of(request), request.auth, known, limits)
    return acted(request, f"{known.value} is limited so from now on." if changed else "It was so already.")


@post("/workers/{worker_id:uuid}/drain")
async def drain(request: PageRequest, worker_id: FromPath[UUID]) -> Response[Any]:
    """Have a worker process begin no more jobs."""
    changed = await operating.drain(services_of(request), request.auth, worker_id, drains=True)
    return acted(request, "It drains: it finishes what it runs." if changed else "It was draining already.")


@post("/workers/{worker_id:uuid}/resume")
async def undrain(request: PageRequest, worker_id: FromPath[UUID]) -> Response[Any]:
    """Have a worker process that drains begin jobs again."""
    changed = await operating.drain(services_of(request), request.auth, worker_id, drains=False)
    return acted(request, "It takes jobs again." if changed else "It was not draining.")


@post("/refill")
async def refill(request: PageRequest) -> Response[Any]:
    """Ring again for what was rung for and not begun."""
    count = await operating.refill(services_of(request), request.auth)
    return acted(request, f"Rung again for {plural(count, 'job')}." if count else "Nothing waits in Redis.")


def _most(given: str | None, name: str) -> int | None:
    """A limit as somebody wrote it; nothing: the deck's setting. Raises ApiError."""
    if given is None:
        return None
    if not (given.isascii() and given.isdecimal()) or int(given) > RUNNING_MAX:
        raise invalid(
            name, f"must be a number from 0 (no limit) to {RUNNING_MAX}, or nothing for the deck's setting"
        )
    return int(given)


HANDLERS = (pause, resume, asked_limits, limit, drain, undrain, refill)
