"""Accepting what was checked, once: what the APIs that take recordings have in common."""

from typing import Annotated, Any

import structlog
from litestar.params import HeaderParameter

from app.checking import Checked
from app.errors import POLL_AGAIN_S, ApiError, Code, invalid
from app.services import Services
from models.accept import (
    Accepted,
    Idempotency,
    KeyInProgress,
    KeyReused,
    NewRecording,
    NewReplay,
    accept,
)

IDEMPOTENCY_KEY_MAX = 255

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        description="At most 255 characters. Per project, for 24 hours: the same key and body again gives the first answer.",
    ),
]


def check_key(key: str | None) -> None:
    """Raise ApiError unless this is an Idempotency-Key, or none."""
    if key is not None and not 0 < len(key) <= IDEMPOTENCY_KEY_MAX:
        raise invalid("Idempotency-Key", f"must have 1 to {IDEMPOTENCY_KEY_MAX} characters")


async def accept_checked(
    services: Services,
    new: NewRecording,
    checked: Checked[Any],
    key: str | None,
    *,
    replay: NewReplay | None = None,
) -> Accepted:
    """Accept a body, or find what was accepted before under the same key. It is durable from now on. Raises ApiError."""
    idempotency = Idempotency(key, checked.digest) if key and checked.digest else None
    try:
        with services.pending.adding(len(checked.payload)):
            accepted = await accept(
                services.db, new, checked.payload, idempotency, terms=services.video, replay=replay
            )
    except KeyReused:
        detail = "This Idempotency-Key came before with another body."
        raise ApiError(Code.IDEMPOTENCY_KEY_REUSED, detail) from None
    except KeyInProgress:
        detail = "The first request with this Idempotency-Key is still being accepted."
        raise ApiError(
            Code.IDEMPOTENCY_IN_PROGRESS, detail, headers={"Retry-After": str(POLL_AGAIN_S)}
        ) from None
    structlog.contextvars.bind_contextvars(recording_id=str(accepted.id))
    services.doorbell.ring()
    return accepted
