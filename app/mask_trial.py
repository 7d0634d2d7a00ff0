"""A dry run of masking: what it would do, found out on a copy, in a thread. The copy counts against the process's budget."""

import asyncio
from collections import Counter

import msgspec

from app.budget import Hold, OverBudget
from app.documents import MaskDryRun
from app.errors import POLL_AGAIN_S, RETRY_SOON_S, ApiError, Code
from app.services import Services
from app.so_far import SoFar, tape_so_far
from models import payload
from models.masking import Kept
from models.recording import Status, Tape
from replay.cut import whole
from replay.envelope import BadEnvelope
from replay.index import Index
from replay.inflate import BadStream, inflated
from replay.mask import Masker, masker_of
from replay.privacy import Rules
from replay.remask import places, remask_payload

PLACES_MAX = 100


async def try_masking(services: Services, kept: Kept, rules: Rules) -> MaskDryRun:
    """What masking by these rules too would mask. Raises ApiError, and what storage raises."""
    masker = masker_of(kept.privacy.with_rules([rules]))
    so_far = None
    if kept.tape is None and kept.recording.is_open:
        so_far = await tape_so_far(services, kept.recording.tenant_id, kept.recording.id)
    if kept.tape is None and so_far is None and kept.recording.status is not Status.FAILED:
        detail = "This recording has not been processed yet."
        raise ApiError(Code.NOT_READY, detail, headers={"Retry-After": str(POLL_AGAIN_S)})
    try:
        with services.budget.hold() as hold:
            if so_far:
                return await _on_so_far(services, so_far, masker, hold)
            if kept.tape:
                return await _on_tape(services, kept, kept.tape, masker, hold)
            return await _on_payload(services, kept, masker, hold)
    except OverBudget:
        detail = "Too many bytes are in flight. Nothing was changed; try again soon."
        raise ApiError(Code.OVERLOADED, detail, headers={"Retry-After": str(RETRY_SOON_S)}) from None


async def _on_tape(services: Services, kept: Kept, tape: Tape, masker: Masker, hold: Hold) -> MaskDryRun:
    frame = whole(Index.decode(tape.index))
    events = await _read(services, tape.name, hold, end=frame.stored_bytes)
    logs = await _read(services, kept.recording.sidecar_name or "", hold)

    return await asyncio.to_thread(_places, services, events, logs, frame.json_bytes, masker, hold)


async def _on_so_far(services: Services, so_far: SoFar, masker: Masker, hold: Hold) -> MaskDryRun:
    frame = whole(so_far.index)
    events, logs = [so_far.tape[: frame.stored_bytes]], [so_far.sidecar]
    return await asyncio.to_thread(_places, services, events, logs, frame.json_bytes, masker, hold)


def _places(
    services: Services, events: list[bytes], logs: list[bytes], json_bytes: int, masker: Masker, hold: Hold
) -> MaskDryRun:
    json = inflated(events, json_bytes, hold.take)
    sidecar = inflated(logs, services.limits.max_events_bytes, hold.take)
    return MaskDryRun(True, *places(json, sidecar, masker, limit=PLACES_MAX))


async def _on_payload(services: Services, kept: Kept, masker: Masker, hold: Hold) -> MaskDryRun:
    """Counts only: nobody can look up a place in what was never made a tape of."""
    masked, id_ = Counter[str](), kept.recording.id
    for batch in await payload.batches(services.db, id_):
        chunks = [chunk async for chunk in payload.chunks(services.db, id_, batch)]
        hold.take(sum(map(len, chunks)))
        masked.update(
            await asyncio.to_thread(_mask_payload, chunks, services.limits.max_events_bytes, masker, hold)
        )
    return MaskDryRun(True, dict(masked), [])


def _mask_payload(chunks: list[bytes], max_bytes: int, masker: Masker, hold: Hold) -> dict[str, int]:
    try:
        return remask_payload(inflated(chunks, max_bytes, hold.take), masker)
    except (BadStream, BadEnvelope, msgspec.DecodeError):
        detail = "This recording failed, and what was sent of it cannot be read."
        raise ApiError(Code.RECORDING_FAILED, detail) from None


async def _read(services: Services, name: str, hold: Hold, *, end: int | None = None) -> list[bytes]:
    chunks = []
    async for chunk in services.storage.read(name, 0, end):
        hold.take(len(chunk))
        chunks.append(chunk)
    return chunks
