"""The job `process`: a payload becomes a tape and a sidecar.

Load the payload, plan purely, put both objects, then commit everything at once.
"""

from collections.abc import Iterable, Iterator

import msgspec

from models import lifecycle, live, masking, payload
from models.ledger import ClaimLost
from models.lifecycle import Processed, Work
from models.object import ObjectKind
from models.recording import Recording, Source
from replay.findings import Warning, from_chunks  # noqa: A004 - API.md's word
from replay.mask import Masker, masker_of
from replay.plan import BadRecording, Claims, plan
from workers.spool import Spool
from workers.tools import Tools


async def process(work: Work, tools: Tools) -> None:
    """Run the job. Raises BadRecording, ClaimLost, NoTurn, and what database and storage raise."""
    # What was asked to be masked until now is, from the first tape on; `mask` looks after what is asked for later.
    kept = await masking.kept(tools.db, work.claim.tenant_id, work.claim.recording_id)
    if kept is None:
        raise ClaimLost
    recording = kept.recording
    claims = _claims(recording)
    # What was acknowledged is processed, however much came at once; what is packed in it may be as much again.
    max_bytes = max(tools.max_events_bytes, 2 * await live.size_of(tools.db, recording.id))
    with Spool(work) as spool:
        async with tools.turn(tools.planning):
            compressed = await payload.load(tools.db, recording.id)
            if not compressed:
                raise BadRecording("payload_unreadable", "The payload is gone.")
            missing = (
                from_chunks(n for n in compressed if n >= 0) if recording.source is Source.UPLOAD else []
            )
            masker = masker_of(kept.privacy)
            processed = await spool.in_thread(
                lambda: _plan(compressed, claims, masker, spool, max_bytes, missing)
            )
        await spool.put(tools)
    await lifecycle.commit_processed(tools.db, work.claim, processed)


def _claims(recording: Recording) -> Claims:
    return Claims(
        event_count=recording.event_count,
        duration_ms=recording.duration_ms,
        video=recording.has_video,
    )


def _plan(
    compressed: dict[int, list[bytes]],
    claims: Claims,
    masker: Masker,
    spool: Spool,
    max_bytes: int,
    chunks_missing: list[Warning],
) -> Processed:
    """What happens in the thread: everything that holds the whole recording is gone when it returns."""
    batches = list(compressed)
    planned = plan(_draining(compressed, spool), claims, masker=masker, max_bytes=max_bytes)
    tape = spool.add(ObjectKind.TAPE, planned.tape())
    sidecar = spool.add(ObjectKind.SIDECAR, planned.sidecar())
    return Processed(
        batches=batches,
        tape=tape,
        sidecar=sidecar,
        index=planned.index.encode(),
        account={**msgspec.to_builtins(planned.account), "stored_bytes": tape.size},
        summary=msgspec.to_builtins(planned.summary),
        warnings=msgspec.to_builtins([*planned.warnings, *chunks_missing]),
        masked=planned.masked,
        playable=planned.playable,
        event_count=planned.event_count,
        started_at=planned.started_at,
        duration_ms=planned.duration_ms,
        navigations=msgspec.to_builtins(planned.navigations),
    )


def _draining(compressed: dict[int, list[bytes]], spool: Spool) -> Iterator[Iterable[bytes]]:
    """The batches, each let go of as soon as it was read."""
    for number in list(compressed):
        yield spool.until_stopped(compressed.pop(number))
