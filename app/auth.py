"""Who is calling, and whether they may: API keys and their scopes."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from app.errors import ApiError, Code
from app.services import services_of
from models import queries
from models.tenancy import Scope
from replay.privacy import Privacy

KEY_HEADERS = ("X-API-Key", "X-SeeStack-Key")
CHALLENGE = 'Bearer realm="tapedeck"'


@dataclass(frozen=True)
class Caller:
    """Whoever a request comes from: their tenant, the project and user of their key, what they may do, and what is
    masked of that project's recordings."""

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


def needs(*scopes: Scope) -> Guard:
    """A guard that lets callers with any of these scopes pass; `request.auth` is the Caller then. Raises ApiError."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        caller = await _authenticate(connection)
        if not any(caller.may(scope) for scope in scopes):
            wanted = " or ".join(scope.value for scope in scopes)
            raise ApiError(Code.FORBIDDEN, f"This needs a key with the scope {wanted}.")
        connection.scope["auth"] = caller

    return guard


async def _authenticate(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    secret = _secret(connection)
    if secret is None:
        raise _unauthorized(
            "An API key is needed: Authorization: Bearer, X-API-Key or X-SeeStack-Key.", CHALLENGE
        )
    key = await queries.api_key(services_of(connection).db, secret)
    if key is None:
        raise _unauthorized(
            "This API key is not known, or was revoked.", CHALLENGE + ', error="invalid_token"'
        )
    return Caller(key.tenant_id, key.project_id, key.user_id, key.id, frozenset(key.scopes), key.privacy)


def _secret(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    scheme, _, credentials = connection.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    return next((value for name in KEY_HEADERS if (value := connection.headers.get(name, "").strip())), None)


def _unauthorized(detail: str, challenge: str) -> ApiError:
    return ApiError(Code.UNAUTHORIZED, detail, headers={"WWW-Authenticate": challenge})
