"""What a page's form sends, and what comes back of it.

A form proves that a page of ours made it: its field `csrf` has the session's token (`app.auth`), masked anew in each page, as a
page is compressed and shows what others wrote (BREACH). Where there is no session yet, the browser says which site
a form is of (Fetch Metadata, as Go's `http.CrossOriginProtection` reads it).

After an action a page says what was done: at once to htmx, else by a cookie that the next page shows and takes away.
"""

import base64
import hmac
import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from litestar import Request, Response
from litestar.datastructures import Cookie

from app.auth import SAFE_METHODS, SESSION_COOKIE, csrf_token
from app.bodies import read_body
from app.errors import ApiError, Code
from app.pages.environment import ENVIRONMENT
from app.services import BodyLimits, services_of

FIELD = "csrf"
FORM_BYTES = 128 * 1024  # a selection of a thousand jobs
NOTICE_COOKIE = "tapedeck_notice"
NOTICE_PATH = "/ops"
NOTICE_S = 60
NOTICE_CHARS = 400
START = "/ops"
_OURS = re.compile(r"/ops(?:[/?][!-\[\]-~]*)?")
_STALE = "This form is not of your session as it is now. Nothing was done: reload the page and try again."
_FOREIGN = "This form was sent by a page of another site. Nothing was done."

Form = dict[str, list[str]]


def proof(token: str) -> str:
    """The field `csrf` of a form of this session."""
    secret = csrf_token(token).encode()
    pad = secrets.token_bytes(len(secret))
    return base64.urlsafe_b64encode(pad + _xor(pad, secret)).decode()


async def check_form(request: Request[Any, Any, Any]) -> None:
    """Before anything is done: read the form, which `form_of` then has, and see whose it is. Raises ApiError."""
    if request.method in SAFE_METHODS:
        return
    form = await _read(request)
    if not _proves(_one(form, FIELD), request.cookies.get(SESSION_COOKIE, "")):
        raise ApiError(Code.FORBIDDEN, _STALE)
    request.state.form = form


async def sign_in_form(request: Request[Any, Any, Any]) -> Form:
    """The form of somebody who has no session yet. Raises ApiError."""
    if not _is_of_our_site(request):
        raise ApiError(Code.FORBIDDEN, _FOREIGN)
    return await _read(request)


def form_of(request: Request[Any, Any, Any]) -> Form:
    """What the form sent, by field, each as often as it came."""
    form: Form = request.state.form
    return form


def one(form: Form, name: str) -> str | None:
    """The only or last value of a field; None without, or when it is empty."""
    return _one(form, name).strip() or None


def local(target: str | None) -> str:
    """Where to go on: a page of ours, whatever somebody else wrote there."""
    return target if target and _OURS.fullmatch(target) else START


def acted(request: Any, notice: str, *, next_: str | None = None) -> Response[Any]:
    """What a page gets when something was done: what to say, and to look again.

    Without JavaScript, or with `next_`, it goes on there; else it stays where it is.
    """
    services_of(request).shared.forget()
    if request.htmx and next_ is None:
        return noticed(notice, headers={"HX-Trigger": "acted"})
    target = local(next_ or one(form_of(request), "next"))
    cookie = Cookie(
        NOTICE_COOKIE,
        value=quote(notice[:NOTICE_CHARS]),
        max_age=NOTICE_S,
        path=NOTICE_PATH,
        httponly=True,
        samesite="lax",
        secure=services_of(request).is_https,
    )
    if request.htmx:
        return Response(None, status_code=200, headers={"HX-Redirect": target}, cookies=[cookie])
    return Response(None, status_code=303, headers={"Location": target}, cookies=[cookie])


def noticed(
    notice: str, *, status: int = 200, is_wrong: bool = False, headers: Mapping[str, str] | None = None
) -> Response[str]:
    """What to say, by itself: for a page that is there already."""
    body = ENVIRONMENT.get_template("notice.html").render(notice=notice, is_wrong=is_wrong)
    return Response(body, status_code=status, media_type="text/html; charset=utf-8", headers=headers)


def taken_notice(request: Request[Any, Any, Any]) -> str | None:
    """What the page before has left to say."""
    return unquote(request.cookies.get(NOTICE_COOKIE, ""))[:NOTICE_CHARS] or None


async def _read(request: Request[Any, Any, Any]) -> Form:
    services = services_of(request)
    limits = BodyLimits(FORM_BYTES, FORM_BYTES, services.limits.stall_s)
    form: Form = {}
    async with read_body(request.receive, request.headers, limits, services.budget) as body:
        for name, value in parse_qsl(bytes(body).decode("utf-8", "replace"), keep_blank_values=True):
            form.setdefault(name, []).append(value)
    return form


def _is_of_our_site(request: Request[Any, Any, Any]) -> bool:
    if site := request.headers.get("Sec-Fetch-Site"):
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")  # `null` is that of a frame in a sandbox
    return origin is None or urlsplit(origin).netloc == request.headers.get("Host")


def _one(form: Form, name: str) -> str:
    return form.get(name, [""])[-1]


def _proves(sent: str, token: str) -> bool:
    secret = csrf_token(token).encode()
    try:
        masked = base64.urlsafe_b64decode(sent.encode())
    except ValueError:
        return False
    pad, masked = masked[: len(secret)], masked[len(secret) :]
    return bool(token) and len(masked) == len(secret) and hmac.compare_digest(_xor(pad, masked), secret)


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
