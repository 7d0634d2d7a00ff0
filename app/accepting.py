"""Accepting, once: what the doors that take recordings have in common.

A door reads and checks a body (`checked_body`), accepts what it says while the body is still counted (`accept_checked`), and
answers with `answer_headers`. `ERRORS` are what it may answer instead.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar

import structlog
from litestar.params import HeaderParameter

from app.admission import admitted_body
from app.auth import ApiRequest
from app.checking import Checked, Format
from app.errors import POLL_AGAIN_S, ApiError, Code, invalid
from app.services import Services, services_of
from app.uploads import check_body
from models.accept import (
    Accepted,
    Idempotency,
    KeyInProgress,
    KeyReused,
    NewRecording,
    NewReplay,
    Opening,
    accept,
)

RECORDINGS = "/api/v1/recordings"
IDEMPOTENCY_KEY_MAX = 255
ERRORS = (
    Code.VALIDATION_ERROR,
    Code.REQUEST_TIMEOUT,
    Code.IDEMPOTENCY_IN_PROGRESS,
    Code.PAYLOAD_TOO_LARGE,
    Code.UNSUPPORTED_ENCODING,
    Code.IDEMPOTENCY_KEY_REUSED,
    Code.RATE_LIMITED,
    Code.OVERLOADED,
)

T = TypeVar("T")

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        description="At most 255 characters. Per project, for 24 hours: the same key and body again gives the first answer.",
    ),
]


@asynccontextmanager
async def checked_body(
    request: ApiRequest, format_: Format[T], key: str | None = None
) -> AsyncIterator[Checked[T]]:
    """The body, checked, with a digest if it is a batch or comes with an Idempotency-Key. It counts against the process's
    budget until the block ends. Raises ApiError."""
    if key is not None and not 0 < len(key) <= IDEMPOTENCY_KEY_MAX:
        raise invalid("Idempotency-Key", f"must have 1 to {IDEMPOTENCY_KEY_MAX} characters")
    services = services_of(request)
    async with admitted_body(request) as body:
        yield await check_body(body, format_, services.apart, digest=format_.is_batch or key is not None)


async def accept_checked(
    services: Services,
    new: NewRecording,
    checked: Checked[Any],
    key: str | None,
    *,
    replay: NewReplay | None = None,
    is_open: bool = False,
) -> Accepted:
    """Accept a body, or find what was accepted before under the same key. It is durable from now on. Raises ApiError."""
    idempotency = Idempotency(key, checked.digest) if key and checked.digest else None
    opening = Opening(b"", checked.size, services.live.first_look_s) if is_open else None
    terms = services.video
    try:
        with (
            services.pending.adding(len(checked.payload)),
            services.traces.span("accept", tapedeck__source=new.source.value) as note,
        ):
            accepted = await accept(
                services.db, new, checked.payload, idempotency, terms=terms, replay=replay, opening=opening
            )
            note.tell(tapedeck__recording_id=str(accepted.id))
    except KeyReused:
        detail = "This Idempotency-Key came before with another body."
        raise ApiError(Code.IDEMPOTENCY_KEY_REUSED, detail) from None
    except KeyInProgress:
        detail = "The first request with this Idempotency-Key is still being accepted."
        raise ApiError(
            Code.IDEMPOTENCY_IN_PROGRESS, detail, headers={"Retry-After": str(POLL_AGAIN_S)}
        ) from None
    if not accepted.replayed:
        services.metrics.accepted(new.source, checked.size)
    structlog.contextvars.bind_contextvars(recording_id=str(accepted.id))
    services.doorbell.ring()
    return accepted


def answer_headers(accepted: Accepted) -> dict[str, str]:
    """Where the recording is, and whether this is the answer to an earlier request."""
    headers = {"Location": f"{RECORDINGS}/{accepted.id}"}
    if accepted.replayed:
        headers["Idempotency-Replayed"] = "true"
    return headers
