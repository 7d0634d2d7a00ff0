"""The way in: `/`, `/sign-in`, and who may see the pages behind it.

A page needs a sign-in session of a user with the scope `operate`; who has none is led to `/sign-in` and from there to where they
wanted to go. API keys open no page.
"""

from typing import Any

import structlog
from litestar import Response, get, post
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import FromQuery
from litestar.response import Redirect

from app.auth import SESSION_COOKIE, of_session
from app.errors import STATUS, ApiError, Code
from app.pages.forms import START, local, one, sign_in_form
from app.pages.page import Page, PageRequest, document
from app.services import services_of
from app.sign_in import begin_session, cookies_of, count_try
from models import sign_in
from models.tenancy import Scope

SIGN_IN = "/sign-in"


async def operators_only(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """A guard: `request.auth` is the Caller then. Raises ApiError, which `app.pages.faults` makes a page of."""
    caller, _token = await of_session(connection)
    connection.scope["auth"] = caller
    if not caller.may(Scope.OPERATE):
        raise ApiError(Code.FORBIDDEN, "These pages are for operators, and this account is none.")


@get("/", include_in_schema=False)
async def front_page(request: PageRequest) -> Response[Any]:
    """Operators go on to their pages; everybody else sees what this is and where to go."""
    try:
        caller, _ = await of_session(request)
    except ApiError:
        return document(request, Page("front.html", "Tapedeck", {"known": False}))
    if caller.may(Scope.OPERATE):
        return Redirect(START)
    return document(request, Page("front.html", "Tapedeck", {"known": True}))


@get(SIGN_IN, include_in_schema=False)
async def sign_in_page(
    request: PageRequest, to: FromQuery[str | None] = None, ended: FromQuery[bool] = False
) -> Response[bytes]:
    """Asks who it is. `to`: where they wanted to go; `ended`: a session was over on the way."""
    return _asked(request, to=to, ended=ended)


@post(SIGN_IN, include_in_schema=False, status_code=200, request_max_body_size=None)
async def enter(request: PageRequest) -> Response[Any]:
    """Begin a session, and go on to where they wanted to go."""
    services = services_of(request)
    form = await sign_in_form(request)
    email, to = one(form, "email") or "", one(form, "to")
    try:
        await count_try(request)
        _, token = await begin_session(request, email, "".join(form.get("password", [])[-1:]))
    except ApiError as error:
        if error.code not in (Code.UNAUTHORIZED, Code.RATE_LIMITED):
            raise
        return _asked(request, to=to, email=email, wrong=error)
    cookies = cookies_of(services, token, services.sessions.max_s)
    return Response(None, status_code=303, headers={"Location": local(to)}, cookies=cookies)


async def leave(request: PageRequest) -> Response[None]:
    """End this session."""
    services = services_of(request)
    await sign_in.end(services.db, request.cookies.get(SESSION_COOKIE, ""))
    structlog.contextvars.unbind_contextvars("user_id")
    return Response(None, status_code=303, headers={"Location": "/"}, cookies=cookies_of(services, "", 0))


def _asked(
    request: PageRequest,
    *,
    to: str | None,
    email: str = "",
    ended: bool = False,
    wrong: ApiError | None = None,
) -> Response[bytes]:
    values = {
        "to": local(to),
        "email": email,
        "ended": ended,
        "wrong": wrong and wrong.detail,
        "is_unknown": wrong is not None and wrong.code is Code.UNAUTHORIZED,
    }
    status = 200 if wrong is None else STATUS[wrong.code]
    return document(
        request,
        Page("sign_in.html", "Sign in", values),
        status=status,
        headers=wrong.headers if wrong else {},
    )


HANDLERS = (front_page, sign_in_page, enter)
