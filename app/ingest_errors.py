"""What goes wrong when a live session is ingested, and how its API says that: an envelope with a code in capitals.

The codes are those of `app.errors` under the names, and with the statuses, that this API has for them.
"""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Literal

import msgspec
import structlog
from litestar import Request, Response

from app import errors
from app.errors import STATUS, ApiError, Code

_NAMES = {
    Code.UNAUTHORIZED: "INVALID_API_KEY",
    Code.UNSUPPORTED_ENCODING: "UNSUPPORTED_MEDIA_TYPE",
    Code.UNAVAILABLE: "OVERLOADED",
}
_MESSAGES = {
    Code.UNAUTHORIZED: "Invalid or missing API key",
    Code.VALIDATION_ERROR: "Validation failed",
    Code.INTERNAL_ERROR: "An unexpected error occurred",
}
_STATUS = {Code.VALIDATION_ERROR: HTTPStatus.UNPROCESSABLE_ENTITY}
WHOLE_BODY = "body"


class Meta(msgspec.Struct, rename="camel"):
    """Which request this answers, and when; the time is UTC, to the millisecond."""

    request_id: str
    timestamp: str


class Error(msgspec.Struct, omit_defaults=True):
    """What is wrong; `details` say it of each field, by its path, when the batch is not valid."""

    code: str
    message: str
    details: dict[str, str] = {}


class Failure(msgspec.Struct):
    """A batch that was not accepted: nothing of it is stored."""

    success: Literal[False]
    error: Error
    meta: Meta


def meta() -> Meta:
    """That of an answer that is given now."""
    request_id = str(structlog.contextvars.get_contextvars().get("request_id", ""))
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Meta(request_id, now)


def status_of(code: Code) -> HTTPStatus:
    """The status that this API has for a code."""
    return _STATUS.get(code, STATUS[code])


def error_of(error: ApiError) -> Error:
    """What the body says of this."""
    name = _NAMES.get(error.code, error.code.value.upper())
    said = Error(name, _MESSAGES.get(error.code, error.detail))
    if error.code is Code.VALIDATION_ERROR:
        said.details = dict(error.errors) or {WHOLE_BODY: error.detail}
    return said


def answer(_: Request[Any, Any, Any], error: Exception) -> Response[Failure]:
    """The envelope that any exception becomes; for Litestar's `exception_handlers`."""
    api_error = errors.api_error_of(error)
    return Response(
        Failure(False, error_of(api_error), meta()),
        status_code=status_of(api_error.code),
        media_type="application/json",
        headers=api_error.headers,
    )
