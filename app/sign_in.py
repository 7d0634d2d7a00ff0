"""`/login` and `/logout`: sign-in sessions, for web pages.

The session's token is in a cookie that no script can read. Beside it stands a cookie that scripts of the same site can
read, with the token that `X-CSRF-Token` has to repeat (`app.auth`).
"""

import math
from ipaddress import IPv6Address, ip_network
from typing import Any
from uuid import UUID

import msgspec
import structlog
from litestar import Request, Response, post
from litestar.datastructures import Cookie

from app import openapi
from app.auth import CHALLENGE, CSRF_COOKIE, SESSION_COOKIE, check_csrf, csrf_token, is_json
from app.bodies import read_body
from app.errors import ApiError, Code, invalid
from app.proxies import Address
from app.services import BodyLimits, Services, services_of
from models import sign_in
from models.administration import EMAIL_CHARS
from models.sign_in import Tries, UserRights

BODY_BYTES = 16 * 1024
BY_EMAIL = Tries(burst=10, gain_s=30)
BY_ADDRESS = Tries(burst=30, gain_s=6)
NO_STORE = {"Cache-Control": "no-store"}
WRONG = "This email and password do not belong together."


class Credentials(msgspec.Struct):
    """Who wants to sign in."""

    email: str
    password: str


class SignedIn(msgspec.Struct):
    """Who has signed in, and what they may do. `csrf_token` is for the header `X-CSRF-Token`."""

    user_id: UUID
    email: str
    tenant_id: UUID
    project_id: UUID
    scopes: list[str]
    csrf_token: str


_decoder = msgspec.json.Decoder(Credentials)


@post(
    "/login",
    status_code=200,
    tags=["Sign-in"],
    request_max_body_size=None,
    operation_class=openapi.LOGIN,
    responses=openapi.problems(
        Code.VALIDATION_ERROR,
        Code.UNAUTHORIZED,
        Code.REQUEST_TIMEOUT,
        Code.PAYLOAD_TOO_LARGE,
        Code.UNSUPPORTED_ENCODING,
        Code.UNSUPPORTED_MEDIA_TYPE,
        Code.RATE_LIMITED,
        Code.OVERLOADED,
        always=openapi.FAILURES,
    ),
)
async def login(request: Request[Any, Any, Any]) -> Response[SignedIn]:
    """Begin a session. Its cookie opens what the user may do, to web pages of the deck's own site."""
    services = services_of(request)
    if not is_json(request):
        raise ApiError(Code.UNSUPPORTED_MEDIA_TYPE, "Send JSON, and say so: Content-Type: application/json.")
    await count_try(request)
    given = await _credentials(request, services)
    rights, token = await begin_session(request, given.email, given.password)
    return Response(
        _signed_in(rights, token),
        headers=NO_STORE,
        cookies=cookies_of(services, token, services.sessions.max_s),
    )


@post(
    "/logout",
    status_code=204,
    tags=["Sign-in"],
    operation_class=openapi.LOGOUT,
    responses=openapi.problems(Code.FORBIDDEN, always=openapi.FAILURES),
)
async def logout(request: Request[Any, Any, Any]) -> Response[None]:
    """End this session. Without one: nothing to do."""
    services = services_of(request)
    if token := request.cookies.get(SESSION_COOKIE):
        check_csrf(request, token)
        await sign_in.end(services.db, token)
    return Response(None, headers=NO_STORE, cookies=cookies_of(services, "", 0))


async def count_try(request: Request[Any, Any, Any]) -> None:
    """Somebody tries to sign in from where this request comes from. Raises ApiError when that is once too often."""
    services = services_of(request)
    await _try(services, f"address {_network(services.proxies.address_of(request))}", BY_ADDRESS)


async def begin_session(request: Request[Any, Any, Any], email: str, password: str) -> tuple[UserRights, str]:
    """What the new session opens, and its token. Raises ApiError: they do not belong together, or were tried too often."""
    services, email = services_of(request), email.strip().lower()
    await _try(services, f"email {email}", BY_EMAIL)
    can_be_known = len(email) <= EMAIL_CHARS and email.isprintable()
    who = await sign_in.account(services.db, email) if can_be_known else None
    fits = await services.passwords.fits(password, who.password_hash if who else None)
    token = await sign_in.begin(services.db, who, services.sessions) if who and fits else None
    rights = await sign_in.rights(services.db, token, services.sessions) if token else None
    if token is None or rights is None:
        raise ApiError(Code.UNAUTHORIZED, WRONG, headers={"WWW-Authenticate": CHALLENGE})
    structlog.contextvars.bind_contextvars(user_id=str(rights.user_id))
    return rights, token


async def _credentials(request: Request[Any, Any, Any], services: Services) -> Credentials:
    limits = BodyLimits(BODY_BYTES, BODY_BYTES, services.limits.stall_s)
    async with read_body(request.receive, request.headers, limits, services.budget) as body:
        try:
            return _decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise invalid(None, 'The body must be {"email": "…", "password": "…"}.') from None


async def _try(services: Services, subject: str, tries: Tries) -> None:
    if wait_s := await sign_in.wait_s(services.db, subject, tries):
        seconds = math.ceil(wait_s)
        raise ApiError(
            Code.RATE_LIMITED,
            f"Too many tries to sign in. Try again in {seconds} seconds.",
            headers={"Retry-After": str(seconds)},
        )


def _network(address: Address | None) -> str:
    """Whom an address belongs to: whoever has one of IPv6 has all of its /64."""
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address)


def _signed_in(rights: UserRights, token: str) -> SignedIn:
    return SignedIn(
        rights.user_id,
        rights.email,
        rights.tenant_id,
        rights.project_id,
        list(rights.scopes),
        csrf_token(token),
    )


def cookies_of(services: Services, token: str, max_age_s: float) -> list[Cookie]:
    """Both cookies; without a token, what makes a browser forget them."""
    values = {SESSION_COOKIE: token, CSRF_COOKIE: csrf_token(token) if token else ""}
    return [
        Cookie(
            name,
            value=value,
            path="/",
            max_age=int(max_age_s),
            samesite="lax",
            secure=services.is_https,
            httponly=name == SESSION_COOKIE,
        )
        for name, value in values.items()
    ]


HANDLERS = (login, logout)
