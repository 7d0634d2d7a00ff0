"""The error answers of operations, for the OpenAPI document: each code with what it says."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from litestar.openapi.datastructures import ResponseSpec

from app.errors import PROBLEM_JSON, STATUS, ApiError, Code, Problem
from app.ingest_errors import Failure, Meta, error_of, status_of
from app.message_errors import Message, message_of
from app.openapi_complete import Shown
from replay.session import NO_EVENTS, NO_HASH

FAILURES = (Code.INTERNAL_ERROR, Code.UNAVAILABLE)
ALWAYS = (Code.UNAUTHORIZED, Code.FORBIDDEN, *FAILURES)


def problems(*codes: Code, always: Sequence[Code] = ALWAYS) -> dict[int, ResponseSpec]:
    """The error answers of an operation: these, and those that any operation may give."""
    return {
        status: ResponseSpec(
            Problem,
            generate_examples=False,
            media_type=PROBLEM_JSON,
            description=" or ".join(f"`{code.value}`" for code in of_status),
            examples=[Shown(id=code.value, value=_problem(code)) for code in of_status],
        )
        for status, of_status in _by_status(*codes, *always)
    }


def messages(*codes: Code) -> dict[int, ResponseSpec]:
    """The same for the API of complete sessions."""
    return {
        status: ResponseSpec(
            Message,
            generate_examples=False,
            description=" or ".join(message.message for code in of_status for message in _messages(code)),
            examples=[
                Shown(
                    id=f"{code.value}_{number}" if number else code.value, value=msgspec.to_builtins(message)
                )
                for code in of_status
                for number, message in enumerate(_messages(code))
            ],
        )
        for status, of_status in _by_status(*codes, *ALWAYS)
    }


def envelopes(*codes: Code) -> dict[int, ResponseSpec]:
    """The same for the API of live sessions."""
    return {
        status: ResponseSpec(
            Failure,
            generate_examples=False,
            description=" or ".join(f"`{error_of(_example(code)).code}`" for code in of_status),
            examples=[Shown(id=code.value, value=_failure(code)) for code in of_status],
        )
        for status, of_status in _by_status(*codes, *ALWAYS, status=status_of)
    }


def _failure(code: Code) -> dict[str, Any]:
    said = Meta("019a2b4c-1d7e-7c3a-9f10-5b6f2f1f9a01", "2026-03-31T12:00:05.123Z")
    failure: dict[str, Any] = msgspec.to_builtins(Failure(False, error_of(_example(code)), said))
    return failure


def _messages(code: Code) -> list[Message]:
    if code is Code.VALIDATION_ERROR:
        return [Message(NO_EVENTS), Message(NO_HASH)]
    return [message_of(_example(code), "019a2b4c-1d7e-7c3a-9f10-5b6f2f1f9a01")]


def _by_status(
    *codes: Code, status: Callable[[Code], int] = STATUS.__getitem__
) -> list[tuple[int, list[Code]]]:
    by_status: dict[int, list[Code]] = {}
    for code in codes:
        by_status.setdefault(status(code), []).append(code)
    return sorted(by_status.items())


def _problem(code: Code) -> dict[str, Any]:
    error = _example(code)
    errors = [{"field": name, "message": message} for name, message in error.errors]
    status = STATUS[code]
    problem = {
        "title": status.phrase,
        "status": int(status),
        "detail": error.detail,
        "code": code.value,
        "type": "about:blank",
    }
    return problem | ({"errors": errors} if errors else {})


def _example(code: Code) -> ApiError:
    said = _SAID.get(code)
    return ApiError(code, *said) if isinstance(said, tuple) else (said or ApiError(code))


_SAID: dict[Code, tuple[str] | ApiError] = {
    Code.VALIDATION_ERROR: ApiError(
        Code.VALIDATION_ERROR,
        "events[3]: must be an object, or a string that holds a packed event",
        errors=[("events[3]", "must be an object, or a string that holds a packed event")],
    ),
    Code.UNAUTHORIZED: ("This API key is not known, or was revoked.",),
    Code.FORBIDDEN: ("This needs the scope manage.",),
    Code.NOT_FOUND: ("There is no such recording.",),
    Code.PROJECT_NOT_FOUND: ("There is no such project.",),
    Code.VIDEO_NOT_FOUND: ("There is no video, or it has not been verified yet.",),
    Code.NO_VIDEO_EXPECTED: ("This recording was created without has_video.",),
    Code.VIDEO_NOT_UPLOADED: ("The video is not in storage: PUT all of it to its upload URL, then confirm.",),
    Code.VIDEO_ALREADY_CONFIRMED: ("The video was confirmed already; it cannot be replaced.",),
    Code.RATE_LIMITED: ("Too many requests. Try again in 30 seconds.",),
    Code.UNSUPPORTED_MEDIA_TYPE: ("Send JSON, and say so: Content-Type: application/json.",),
    Code.PAYLOAD_TOO_LARGE: ("The body is larger than 67108864 bytes as sent.",),
    Code.NOT_READY: ("This recording has not been processed yet.",),
    Code.NOT_APPLICABLE: (
        "There is nothing to retry about this job. It is done since 2026-05-04 10:02:35Z.",
    ),
    Code.TOO_COSTLY: (
        "This took longer than 5 s and was given up. Add a filter: recording_id or kind first, then tenant_id.",
    ),
    Code.ON_HOLD: ("This recording is on hold: release it first.",),
    Code.SEQ_CONFLICT: ("Another chunk came with this seq before.",),
    Code.RECORDING_CLOSED: ("This recording takes no more chunks.",),
    Code.RECORDING_FAILED: ("This recording failed before there was anything to read: no_valid_events.",),
}
