"""What an operator sees instead of a page: never a dead end, each says what to do next.

Nobody has signed in, or not any more: the sign-in page, which leads back here.
"""

from typing import Any, NamedTuple

from litestar import Request, Response
from litestar.response import Redirect

from app.auth import SAFE_METHODS, SESSION_COOKIE
from app.errors import RETRY_SOON_S, STATUS, ApiError, Code, api_error_of
from app.ops import NO_STORE
from app.pages.access import SIGN_IN
from app.pages.environment import query
from app.pages.forms import START, local, noticed, one
from app.pages.page import Page, PageRequest, document, here, last_event, wants_stream


class Advice(NamedTuple):
    """What is wrong, in a heading, and what may be done. `again`: the page tries again by itself."""

    heading: str
    next_step: str
    again: bool = False


_ADVICE = {
    Code.FORBIDDEN: Advice(
        "This is not for you",
        "Reload the page you came from and try again, or sign in as somebody who may operate this deck.",
    ),
    Code.NOT_FOUND: Advice(
        "There is nothing here",
        "It may have been purged, or pruned with its history. Look for it by its id above, or begin at the overview.",
    ),
    Code.TOO_COSTLY: Advice("That took too long", "Ask for less: fewer hours, or a filter more."),
    Code.VALIDATION_ERROR: Advice(
        "That cannot be asked for", "Change what is named here, or begin without filters."
    ),
    Code.NOT_APPLICABLE: Advice(
        "There is nothing to do", "Somebody else may have been first. Go back and see how it is now."
    ),
    Code.METHOD_NOT_ALLOWED: Advice(
        "This is no page", "A form goes here; it is on the page that leads to it. Begin at the overview."
    ),
    Code.PAYLOAD_TOO_LARGE: Advice(
        "That is too much at once", "Go back and choose fewer, or filter instead: all that match may be many."
    ),
    Code.OVERLOADED: Advice("Too much at once", "This page tries again by itself.", again=True),
    Code.UNAVAILABLE: Advice(
        "Postgres does not answer",
        "Uploads get 503 and clients keep them: nothing that was accepted is lost. See that Postgres runs and can be reached at "
        "DATABASE_URL; this page comes back by itself.",
        again=True,
    ),
    Code.INTERNAL_ERROR: Advice(
        "Something broke here",
        "The log of the web process has it under this request's id. Nothing was changed.",
    ),
}


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """The page that an exception becomes."""
    asked = PageRequest(request.scope, request.receive, request.send)
    api_error = api_error_of(error)
    if wants_stream(asked):
        return _to_stream(api_error)
    if api_error.code is Code.UNAUTHORIZED:
        return _to_sign_in(asked)
    advice = _ADVICE.get(api_error.code, _ADVICE[Code.INTERNAL_ERROR])
    if asked.htmx and asked.method not in SAFE_METHODS:
        return noticed(api_error.detail, status=STATUS[api_error.code], is_wrong=True)
    back = None
    if asked.method not in SAFE_METHODS:
        back = local(one(request.state.get("form") or {}, "next") or _place(asked))
    elif api_error.code is Code.METHOD_NOT_ALLOWED:
        back = START
    values = {"detail": api_error.detail, "advice": advice, "back": back}
    headers = dict(api_error.headers)
    if advice.again:
        to = f"; url={back}" if back else ""  # nothing is sent again
        headers |= {"Retry-After": str(RETRY_SOON_S), "Refresh": f"{2 * RETRY_SOON_S}{to}"}
    return document(
        asked, Page("fault.html", advice.heading, values), status=STATUS[api_error.code], headers=headers
    )


def _to_stream(error: ApiError) -> Response[Any]:
    """What a page that is open already gets instead of its stream: it stays as it is, and says why."""
    if error.code in (Code.UNAUTHORIZED, Code.FORBIDDEN):
        return last_event(error.detail, "signed-out")  # a status that is no success is only tried again
    return last_event(error.detail, "away", status=STATUS[error.code])


def _to_sign_in(request: PageRequest) -> Response[Any]:
    ended = "1" if request.cookies.get(SESSION_COOKIE) else None
    target = SIGN_IN + query(to=_place(request), ended=ended)
    if request.htmx:
        return Response(None, status_code=200, headers=NO_STORE | {"HX-Redirect": target})
    return Redirect(target, status_code=303, headers=NO_STORE)


def _place(request: PageRequest) -> str:
    """Where somebody is: on the page that they see, from which a form or a piece of it asks; or on their way to another one."""
    if request.method in SAFE_METHODS and not request.htmx:
        return here(request)
    seen = request.headers.get("HX-Current-URL") or request.headers.get("Referer") or ""
    return seen.partition(request.headers.get("Host", "\0"))[2] or START
