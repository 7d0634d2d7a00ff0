"""What goes wrong in the recordings API, and how it is said: problem details (RFC 9457) with a stable `code`.

One table holds every code with its HTTP status. Whatever else is raised becomes one of these codes; its own text,
stack traces and SQL included, stays in our logs.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from msgspec import Meta
from sqlalchemy.exc import TimeoutError as PoolTimeout

from models.db import is_away
from storage.protocol import StorageError

PROBLEM_JSON = "application/problem+json"
RETRY_SOON_S = 2
POLL_AGAIN_S = 1

log = structlog.get_logger()


class Code(StrEnum):
    """The stable names of errors."""

    VALIDATION_ERROR = "validation_error"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    PROJECT_NOT_FOUND = "project_not_found"
    VIDEO_NOT_FOUND = "video_not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    REQUEST_TIMEOUT = "request_timeout"
    NOT_READY = "not_ready"
    RECORDING_FAILED = "recording_failed"
    NOT_FAILED = "not_failed"
    NOT_APPLICABLE = "not_applicable"
    ON_HOLD = "on_hold"
    PAYLOAD_EXPIRED = "payload_expired"
    NO_VIDEO_EXPECTED = "no_video_expected"
    VIDEO_NOT_UPLOADED = "video_not_uploaded"
    VIDEO_ALREADY_CONFIRMED = "video_already_confirmed"
    IDEMPOTENCY_IN_PROGRESS = "idempotency_in_progress"
    SEQ_CONFLICT = "seq_conflict"
    RECORDING_CLOSED = "recording_closed"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    TOO_COSTLY = "too_costly"
    RATE_LIMITED = "rate_limited"
    INTERNAL_ERROR = "internal_error"
    OVERLOADED = "overloaded"
    UNAVAILABLE = "unavailable"


STATUS: dict[Code, HTTPStatus] = {
    Code.VALIDATION_ERROR: HTTPStatus.BAD_REQUEST,
    Code.UNAUTHORIZED: HTTPStatus.UNAUTHORIZED,
    Code.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Code.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.PROJECT_NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.VIDEO_NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    Code.NOT_ACCEPTABLE: HTTPStatus.NOT_ACCEPTABLE,
    Code.REQUEST_TIMEOUT: HTTPStatus.REQUEST_TIMEOUT,
    Code.NOT_READY: HTTPStatus.CONFLICT,
    Code.RECORDING_FAILED: HTTPStatus.CONFLICT,
    Code.NOT_FAILED: HTTPStatus.CONFLICT,
    Code.NOT_APPLICABLE: HTTPStatus.CONFLICT,
    Code.ON_HOLD: HTTPStatus.CONFLICT,
    Code.PAYLOAD_EXPIRED: HTTPStatus.CONFLICT,
    Code.NO_VIDEO_EXPECTED: HTTPStatus.CONFLICT,
    Code.VIDEO_NOT_UPLOADED: HTTPStatus.CONFLICT,
    Code.VIDEO_ALREADY_CONFIRMED: HTTPStatus.CONFLICT,
    Code.IDEMPOTENCY_IN_PROGRESS: HTTPStatus.CONFLICT,
    Code.SEQ_CONFLICT: HTTPStatus.CONFLICT,
    Code.RECORDING_CLOSED: HTTPStatus.CONFLICT,
    Code.PAYLOAD_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Code.UNSUPPORTED_ENCODING: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Code.UNSUPPORTED_MEDIA_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Code.IDEMPOTENCY_KEY_REUSED: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.TOO_COSTLY: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    Code.INTERNAL_ERROR: HTTPStatus.INTERNAL_SERVER_ERROR,
    Code.OVERLOADED: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}

_OF_FRAMEWORK: dict[int, Code] = {
    400: Code.VALIDATION_ERROR,
    401: Code.UNAUTHORIZED,
    403: Code.FORBIDDEN,
    404: Code.NOT_FOUND,
    405: Code.METHOD_NOT_ALLOWED,
    413: Code.PAYLOAD_TOO_LARGE,
}
_DETAIL = {
    Code.NOT_FOUND: "There is nothing here.",
    Code.METHOD_NOT_ALLOWED: "This resource does not know that method.",
    Code.INTERNAL_ERROR: "An unexpected error occurred; the logs have it under this request's id.",
    Code.UNAVAILABLE: "Something this service needs is away. Nothing was changed; try again soon.",
}


class FieldError(msgspec.Struct, omit_defaults=True):
    """One field that is wrong, by its path."""

    field: str
    message: str


class Problem(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An error (RFC 9457). Rely on `code`; `title` and `detail` are for people."""

    type: str = msgspec.field(default_factory=lambda: "about:blank")  # a factory, so that it is not omitted
    title: Annotated[str, Meta(examples=["Bad Request"])]
    status: Annotated[int, Meta(examples=[400])]
    detail: str
    code: Annotated[str, Meta(examples=["validation_error"])]
    errors: list[FieldError] = []


class ApiError(Exception):
    """A request that is answered with a problem. `errors` are (field, message) pairs; `detail` is shown to the caller."""

    def __init__(
        self,
        code: Code,
        detail: str | None = None,
        *,
        errors: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail or _DETAIL.get(code) or STATUS[code].description or STATUS[code].phrase
        self.errors = errors
        self.headers = dict(headers or {})

    @property
    def problem(self) -> Problem:
        status = STATUS[self.code]
        errors = [FieldError(field, message) for field, message in self.errors]
        return Problem(
            title=status.phrase, status=status, detail=self.detail, code=self.code.value, errors=errors
        )


def invalid(field: str | None, message: str) -> ApiError:
    """A 400 that names the field, or none when the whole body is wrong."""
    return invalid_fields([(field, message)])


def invalid_fields(faults: Sequence[tuple[str | None, str]]) -> ApiError:
    """The same for several (field, message) pairs."""
    detail = "; ".join(f"{field}: {message}" if field else message for field, message in faults)
    errors = [(field, message) for field, message in faults if field]
    return ApiError(Code.VALIDATION_ERROR, detail, errors=errors)


def not_found() -> ApiError:
    """The same for another tenant's recording, a deleted one, and none."""
    return ApiError(Code.NOT_FOUND, "There is no such recording.")


def on_hold() -> ApiError:
    """Nothing may be taken away from the recording."""
    return ApiError(Code.ON_HOLD, "This recording is on hold: release it first.")


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """The problem that any exception becomes; for Litestar's `exception_handlers`."""
    api_error = api_error_of(error)
    return Response(
        api_error.problem,
        status_code=STATUS[api_error.code],
        media_type=PROBLEM_JSON,
        headers=api_error.headers,
    )


def api_error_of(error: Exception) -> ApiError:
    """What any exception is to a caller; our logs get what only they may know."""
    api_error = _api_error_of(error)
    if api_error.code is Code.INTERNAL_ERROR:
        log.error("request_failed", exc_info=error)
    elif api_error.code is Code.UNAVAILABLE:
        log.warning("dependency_away", error=f"{type(error).__name__}: {str(error)[:200]}")
    return api_error


def _api_error_of(error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, HTTPException):
        code = _OF_FRAMEWORK.get(error.status_code, Code.INTERNAL_ERROR)
        kept = {
            name: value
            for name, value in (error.headers or {}).items()
            if name.lower() in ("allow", "www-authenticate")
        }
        errors = _field_errors(error)
        detail = "; ".join(f"{field}: {message}" for field, message in errors)
        return ApiError(code, detail or None, errors=errors, headers=kept)
    if isinstance(error, PoolTimeout | StorageError) or is_away(error):
        return ApiError(Code.UNAVAILABLE, headers={"Retry-After": str(RETRY_SOON_S)})
    return ApiError(Code.INTERNAL_ERROR)


def _field_errors(error: HTTPException) -> list[tuple[str, str]]:
    extra = error.extra if isinstance(error.extra, list) else []
    return [
        (str(item["key"]), str(item["message"]).replace("`", "'"))
        for item in extra
        if isinstance(item, dict) and {"key", "message"} <= item.keys()
    ]
