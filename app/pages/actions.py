"""`/ops/actions`: what was done to many jobs at once, how far that is, and the way to begin another: first what it would touch."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath

from app import operating
from app.errors import STATUS, ApiError, Code, invalid, invalid_fields
from app.ops import no_action
from app.ops_answers import action_of, page_of, preview_of
from app.pages.environment import query
from app.pages.forms import Form, acted, form_of, one
from app.pages.job_filter import SELECTION, Asked, asked_of, fields_of, phrases_of
from app.pages.page import Page, PageRequest, cursor_of, document, show
from app.services import Services, services_of
from models import action, lives
from models.acting import CANARY
from models.action import ACTIVE, Verb
from models.filters import JobFilter

ROWS = 25
_NOTHING = "No job is chosen. Tick some in the list, or filter it first."


@get("/actions")
async def actions(request: PageRequest) -> Response[Any]:
    """The list, newest first."""
    db = services_of(request).db
    cursor = cursor_of(request)

    async def look() -> Page:
        found = await action.actions(db, limit=ROWS + 1, before=cursor)
        page, after = page_of(found, ROWS)
        now = (await lives.now(db)).isoformat()
        rows = [(action_of(one_), phrases_of(one_.filter)) for one_ in page]
        return Page("actions.html", "Actions", {"rows": rows, "after": after, "cursor": cursor, "now": now})

    return await show(request, look)


@get("/actions/{action_id:uuid}")
async def progress(request: PageRequest, action_id: FromPath[UUID]) -> Response[Any]:
    """How far an action is. Raises ApiError."""
    db = services_of(request).db

    async def look() -> Page:
        if (found := await action.one(db, action_id)) is None:
            raise no_action()
        values = {
            "action": action_of(found),
            "phrases": phrases_of(found.filter),
            "canary": [job_id for job_id, _ in found.canary],
            "canary_size": CANARY,
            "left": query(**{name: value for name, value in found.filter.items() if name != SELECTION}),
            "may_stop": found.state in ACTIVE,
            "now": (await lives.now(db)).isoformat(),
        }
        return Page("action.html", f"{found.verb.value.capitalize()} of jobs", values)

    return await show(request, look)


@get("/actions/new")
async def ask(request: PageRequest) -> Response[Any]:
    """What an action would touch now, and whether that is wanted. Nothing is done."""
    services = services_of(request)
    form = request.query_params.dict()
    verb, asked = _verb_of(form), asked_of(form)

    async def look() -> Page:
        return await _asked(services, verb, asked)

    try:
        return await show(request, look)
    except ApiError as error:
        if error.code not in (Code.VALIDATION_ERROR, Code.TOO_COSTLY):
            raise
        values: dict[str, Any] = {
            "verb": verb.value,
            "asked": asked,
            "problem": error.detail,
            "fields": [],
            "phrases": [],
        }
        page = Page("action_new.html", f"Nothing to {verb.value}", values)
        return document(request, page, status=STATUS[error.code])


@post("/actions")
async def begin(request: PageRequest) -> Response[Any]:
    """Begin an action on all jobs that match. Raises ApiError."""
    services, form = services_of(request), form_of(request)
    verb, asked = _verb_of(form), asked_of(form)
    seen = await operating.preview(services, verb, _filter(asked))
    if not seen.matched:
        raise ApiError(
            Code.NOT_APPLICABLE, f"Nothing is left to {verb.value}: somebody else may have been first."
        )
    begun = await operating.request(services, request.auth, verb, asked.jobs, matched=seen.matched)
    return acted(request, "It has begun.", next_=f"/ops/actions/{begun.id}")


@post("/actions/{action_id:uuid}/stop")
async def stop(request: PageRequest, action_id: FromPath[UUID]) -> Response[Any]:
    """Do no more of an action. Raises ApiError."""
    stopped = await operating.stop(services_of(request), request.auth, action_id)
    if stopped is None:
        raise no_action()
    was_over = stopped.state is not action.ActionState.STOPPED
    return acted(request, f"It was over already: {stopped.state.value}." if was_over else "It is stopped.")


async def _asked(services: Services, verb: Verb, asked: Asked) -> Page:
    jobs = _filter(asked)
    seen = preview_of(await operating.preview(services, verb, jobs))
    values = {
        "verb": verb.value,
        "asked": asked,
        "problem": "",
        "seen": seen,
        "fields": fields_of(jobs),
        "phrases": phrases_of(msgspec.to_builtins(jobs)),
        "canary_size": CANARY,
        "now": (await lives.now(services.db)).isoformat(),
    }
    return Page("action_new.html", f"{verb.value.capitalize()} jobs", values)


def _filter(asked: Asked) -> JobFilter:
    if asked.faults:
        raise invalid_fields(list(asked.faults.items()))
    if asked.jobs == JobFilter():
        raise ApiError(Code.VALIDATION_ERROR, _NOTHING)
    return asked.jobs


def _verb_of(form: Form) -> Verb:
    try:
        return Verb(one(form, "verb") or "")
    except ValueError:
        raise invalid("verb", "must be retry or discard") from None


HANDLERS = (actions, progress, ask, begin, stop)
