"""The job `mask`: what a recording keeps is masked again, by its project's policy and by the rules that were asked for.

Tape and sidecar are made anew, whoever reads them meanwhile; a payload that is kept for a retry is masked in its place.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
import zstandard

from models import masking, payload
from models.ledger import ClaimLost
from models.lifecycle import Work
from models.masking import Kept, Masked, NewTape
from models.object import ObjectKind
from models.recording import Source
from replay.cut import whole
from replay.envelope import BadEnvelope
from replay.index import Index
from replay.inflate import BadStream, inflated
from replay.mask import masker_of
from replay.plan import BadRecording
from replay.remask import remask, remask_payload
from replay.tape import LEVEL
from workers.spool import Spool
from workers.tools import Tools


@dataclass(frozen=True)
class _Loaded:
    """What is kept of a recording, compressed: of its tape, its sidecar, and each batch of its payload."""

    tape: list[bytes]
    sidecar: list[bytes]
    batches: dict[int, list[bytes]]


async def mask(work: Work, tools: Tools) -> None:
    """Run the job. Raises BadRecording, ClaimLost, NoTurn, and what database and storage raise."""
    kept = await masking.kept(tools.db, work.claim.tenant_id, work.claim.recording_id)
    if kept is None:
        raise ClaimLost
    with Spool(work) as spool:
        async with tools.turn(tools.masking), tools.turn(tools.planning):
            loaded = await _load(tools, kept)
            masked = await spool.in_thread(
                lambda: _mask(kept, loaded, spool, max_bytes=tools.max_events_bytes)
            )
        if masked.tape:
            await spool.put(tools)
    await masking.commit_masked(tools.db, work.claim, masked)


async def _load(tools: Tools, kept: Kept) -> _Loaded:
    id_, tape, sidecar = kept.recording.id, list[bytes](), list[bytes]()
    if kept.tape and kept.recording.sidecar_name:
        frame_bytes = whole(Index.decode(kept.tape.index)).stored_bytes
        tape = [c async for c in tools.storage.read(kept.tape.name, 0, frame_bytes)]
        sidecar = [c async for c in tools.storage.read(kept.recording.sidecar_name)]
    return _Loaded(tape, sidecar, await payload.load(tools.db, id_))


def _mask(kept: Kept, loaded: _Loaded, spool: Spool, *, max_bytes: int) -> Masked:
    """What happens in the thread: everything that holds the whole recording is gone when it returns."""
    masker = masker_of(kept.privacy)
    counts = Counter[str]()
    navigations, new = None, None
    if kept.tape:
        json_bytes = whole(Index.decode(kept.tape.index)).json_bytes
        with _reading("sidecar"):
            sidecar = inflated(spool.until_stopped(loaded.sidecar), max_bytes)
        with _reading("tape"):
            live = kept.recording.source is Source.STREAM
            again = remask(inflated(spool.until_stopped(loaded.tape), json_bytes), sidecar, masker, live=live)
        if again.masked:
            counts.update(again.masked)
            put = spool.add(ObjectKind.TAPE, again.tape()), spool.add(ObjectKind.SIDECAR, again.sidecar())
            new = NewTape(*put, again.index.encode())
        navigations = msgspec.to_builtins(again.navigations)
    batches: dict[int, bytes] = {}
    for number, chunks in loaded.batches.items():
        with _reading("payload"):
            body = inflated(spool.until_stopped(chunks), max_bytes)
            found = remask_payload(body, masker)
        if found:
            counts.update(found)
            batches[number] = zstandard.compress(body, LEVEL)
    if not navigations:  # of the events: then they are the client's
        navigations = [{**page, "url": masker.string(page["url"])} for page in kept.recording.navigations]
    name = kept.recording.name and masker.string(kept.recording.name)
    client = kept.client and kept.client.masked(masker.string, masker.ip_addresses)
    return Masked(kept, counts, name, navigations, client, new, batches)


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """What cannot be read now never can: bad input."""
    try:
        yield
    except BadStream as bad:
        raise BadRecording("payload_unreadable", f"The {what} {bad}.") from None
    except (BadEnvelope, msgspec.DecodeError) as error:
        raise BadRecording("payload_unreadable", f"The {what} is not what was stored: {error}.") from error
