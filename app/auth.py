"""Who is calling, and whether they may: API keys, sign-in sessions, scopes.

A key goes before a cookie. Browsers send cookies whoever made the request, so one that may change something has to show
that it was made by a page of ours (cross-site request forgery): it repeats the session's CSRF token, or says that its body is
JSON, which no form can, and which a script of another site may only with leave that it never gets (`app.cors`).
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from app.errors import ApiError, Code
from app.services import services_of
from models import queries, sign_in
from models.recording import Recording
from models.tenancy import Scope
from replay.privacy import Privacy

KEY_HEADERS = ("X-API-Key", "X-SeeStack-Key")
CHALLENGE = 'Bearer realm="tapedeck"'
SESSION_COOKIE = "tapedeck_session"
CSRF_COOKIE = "tapedeck_csrf"
CSRF_HEADER = "X-CSRF-Token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Caller:
    """Whoever a request comes from: their tenant, the project and user of their key, what they may do, and what is
    masked of that project's recordings. In a session there is no key, and the project is the user's default."""

    tenant_id: UUID
    project_id: UUID
    user_id: UUID
    api_key_id: UUID | None
    scopes: frozenset[str]
    privacy: Privacy

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes

    @property
    def is_bound(self) -> bool:
        """Without `read` a key may sit in a public extension: it stays in its project and knows only what it made."""
        return not self.may(Scope.READ)

    def made(self, recording: Recording) -> bool:
        """Whether a recording came with the same key, or from the same user without any."""
        return (recording.api_key_id, recording.user_id) == (self.api_key_id, self.user_id)


ApiRequest = Request[Any, Caller, State]


def needs(*scopes: Scope, beacons: bool = False) -> Guard:
    """A guard that lets callers with any of these scopes pass; `request.auth` is the Caller then. Raises ApiError.

    `beacons`: a key may also be raw (`Authorization: <key>`) or, if it has no scope but `ingest`, in the URL (`?api_key=`):
    `navigator.sendBeacon` can send no header.
    """

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        caller = await _authenticate(connection, beacons)
        if not any(caller.may(scope) for scope in scopes):
            wanted = " or ".join(scope.value for scope in scopes)
            raise ApiError(Code.FORBIDDEN, f"This needs the scope {wanted}.")
        connection.scope["auth"] = caller

    return guard


async def _authenticate(connection: ASGIConnection[Any, Any, Any, Any], beacons: bool) -> Caller:
    secret = _secret(connection) or (_raw_secret(connection) if beacons else None)
    in_url = connection.query_params.get("api_key") if beacons and secret is None else None
    secret = secret or in_url
    if secret is None:
        caller, token = await of_session(connection)
        if connection.scope["method"] not in SAFE_METHODS:  # type: ignore[typeddict-item]  # it is a request
            check_csrf(connection, token)
        return caller
    key = await queries.api_key(services_of(connection).db, secret)
    if key is None:
        raise _unauthorized(
            "This API key is not known, or was revoked.", CHALLENGE + ', error="invalid_token"'
        )
    if in_url and set(key.scopes) != {Scope.INGEST}:
        raise ApiError(Code.FORBIDDEN, "Only a key that has no scope but ingest may stand in a URL.")
    return Caller(key.tenant_id, key.project_id, key.user_id, key.id, frozenset(key.scopes), key.privacy)


async def of_session(connection: ASGIConnection[Any, Any, Any, Any]) -> tuple[Caller, str]:
    """Who has signed in, and the session's token: whoever lets them change something checks that it was they who asked.
    Raises ApiError."""
    token = connection.cookies.get(SESSION_COOKIE)
    if not token:
        raise _unauthorized(
            "An API key is needed (Authorization: Bearer, X-API-Key or X-SeeStack-Key), or a sign-in session.",
            CHALLENGE,
        )
    services = services_of(connection)
    user = await sign_in.rights(services.db, token, services.sessions)
    if user is None:
        raise _unauthorized("This session has ended: sign in again.", CHALLENGE)
    scopes = frozenset(user.scopes)
    return Caller(user.tenant_id, user.project_id, user.user_id, None, scopes, user.privacy), token


def csrf_token(token: str) -> str:
    """What proves that a request was made by who can read the cookies of a session: known from its token, not the reverse."""
    digest = hashlib.sha256(b"csrf " + token.encode("utf-8", "replace")).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def check_csrf(connection: ASGIConnection[Any, Any, Any, Any], token: str) -> None:
    """Raise ApiError unless a page of ours has made this request, which comes with this session's cookie."""
    sent = connection.headers.get(CSRF_HEADER, "")
    if not (is_json(connection) or hmac.compare_digest(sent.encode(), csrf_token(token).encode())):
        detail = f"A request with a session's cookie needs {CSRF_HEADER} or Content-Type: application/json."
        raise ApiError(Code.FORBIDDEN, detail)


def is_json(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Whether the body is said to be JSON."""
    media_type = connection.headers.get("Content-Type", "").partition(";")[0]
    return media_type.strip().lower() == "application/json"


def _secret(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    scheme, _, credentials = connection.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    return next((value for name in KEY_HEADERS if (value := connection.headers.get(name, "").strip())), None)


def _raw_secret(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    raw = connection.headers.get("Authorization", "").strip()
    return raw if raw and " " not in raw else None


def _unauthorized(detail: str, challenge: str) -> ApiError:
    return ApiError(Code.UNAUTHORIZED, detail, headers={"WWW-Authenticate": challenge})
