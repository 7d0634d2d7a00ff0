"""What goes wrong when a complete session is saved, and how its API says that: `{"message": …}`.

The codes are those of `app.errors`, and so are their statuses; a client of this API knows statuses and messages only.
"""

from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from msgspec import UNSET, UnsetType

from app import errors
from app.errors import STATUS, ApiError, Code

_MESSAGES = {
    Code.UNAUTHORIZED: "Unauthorized",
    Code.INTERNAL_ERROR: "Error saving replay: an unexpected error occurred",
}


class Message(msgspec.Struct):
    """An error. `error` only comes with a 500."""

    message: str
    error: dict[str, str] | UnsetType = UNSET


def message_of(error: ApiError, request_id: str = "") -> Message:
    """The body that says this."""
    message = Message(_MESSAGES.get(error.code, error.detail))
    if error.code is Code.INTERNAL_ERROR:
        message.error = {"code": error.code.value, "request_id": request_id}
    return message


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[Message]:
    """The message that any exception becomes; for Litestar's `exception_handlers`."""
    api_error = errors.api_error_of(error)
    request_id = str(structlog.contextvars.get_contextvars().get("request_id", ""))
    return Response(
        message_of(api_error, request_id),
        status_code=STATUS[api_error.code],
        media_type="application/json",
        headers=api_error.headers,
    )
