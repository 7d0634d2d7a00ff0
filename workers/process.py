"""The job `process`: a payload becomes a tape and a sidecar.

Load the payload, plan purely, put both objects, then commit everything at once.
"""

from collections.abc import Iterable, Iterator

import msgspec

from models import live, masking, payload, processing
from models.ledger import ClaimLost
from models.lifecycle import Work
from models.object import ObjectKind
from models.processing import Processed
from models.recording import Recording, Source
from replay.findings import from_chunks
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
    recording, masker = kept.recording, masker_of(kept.privacy)
    # What was acknowledged is processed, however much came at once; what is packed in it may be as much again.
    max_bytes = max(tools.max_events_bytes, 2 * await live.size_of(tools.db, recording.id))
    with Spool(work) as spool:
        async with tools.turn(tools.planning):
            compressed = await payload.load(tools.db, recording.id)
            if not compressed:
                raise BadRecording("payload_unreadable", "The payload is gone.")
            processed = await spool.in_thread(lambda: _plan(compressed, recording, masker, spool, max_bytes))
        await spool.put(tools)
    await processing.commit_processed(tools.db, work.claim, processed)


def _claims(recording: Recording) -> Claims:
    return Claims(
        event_count=recording.event_count,
        duration_ms=recording.duration_ms,
        video=recording.has_video,
    )


def _plan(
    compressed: dict[int, list[bytes]], recording: Recording, masker: Masker, spool: Spool, max_bytes: int
) -> Processed:
    """What happens in the thread: everything that holds the whole recording is gone when it returns."""
    batches, source = list(compressed), recording.source
    planned = plan(
        _draining(compressed, spool),
        _claims(recording),
        masker=masker,
        live=source is Source.STREAM,
        max_bytes=max_bytes,
    )
    chunks_missing = from_chunks(n for n in batches if n >= 0) if source is Source.UPLOAD else []
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
