"""What an open recording has so far, as a tape: planned and masked like the one that will be stored, kept by nobody. What was
asked to be masked meanwhile is, too.

The batches count against the process's budget meanwhile; one recording at a time is planned for readers.
"""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from app.budget import OverBudget
from app.errors import RETRY_SOON_S, ApiError, Code, not_found
from app.services import Services
from models import live, masking, payload
from replay.index import Index
from replay.mask import Masker, masker_of
from replay.plan import BadRecording, Claims, plan


@dataclass(frozen=True)
class SoFar:
    """A tape and a sidecar, whole in memory, and the tape's index."""

    tape: bytes
    index: Index
    sidecar: bytes


async def tape_so_far(services: Services, tenant_id: UUID, recording_id: UUID) -> SoFar | None:
    """The tape of all that has come. None: it is not open any more. Raises ApiError."""
    try:
        with services.budget.hold() as hold:
            async with services.planning:  # looked at when it is our turn: batches come meanwhile
                hold.take(size := await live.size_of(services.db, recording_id))
                batches = await payload.load(services.db, recording_id)
                kept = await masking.kept(services.db, tenant_id, recording_id)
                if kept is None:
                    raise not_found()
                if not kept.recording.is_open:  # then what was loaded may lack what `process` has removed
                    return None
                # As `process` has it: what is packed may be many times what came.
                max_bytes = max(services.limits.max_events_bytes, 2 * size)
                return await asyncio.to_thread(_tape, batches, masker_of(kept.privacy), max_bytes)
    except OverBudget:
        detail = "Too many bytes are in flight; try again soon."
        raise ApiError(Code.OVERLOADED, detail, headers={"Retry-After": str(RETRY_SOON_S)}) from None


def _tape(batches: dict[int, list[bytes]], masker: Masker, max_bytes: int) -> SoFar:
    try:
        planned = plan(batches.values(), Claims(), masker=masker, max_bytes=max_bytes)
    except BadRecording as bad:
        if bad.code != "no_valid_events":
            raise
        planned = plan((), Claims(video=True), max_bytes=max_bytes)
    return SoFar(b"".join(planned.tape()), planned.index, b"".join(planned.sidecar()))
