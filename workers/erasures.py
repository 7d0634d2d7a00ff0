"""Carrying erasures out: the dispatcher's part of them. Purging what they delete is left to the job `purge`.

A bounded part of each erasure at a time, so that a large one holds up no small one. Storage that is away only delays.
"""

import asyncio
from collections.abc import Sequence

import structlog

from models import erasing
from models.db import Database
from models.erasure import Erasure
from storage.protocol import Refused, Storage

BATCH = 100
LOOKUPS = 10  # recordings whose objects are looked up at once

log = structlog.get_logger()


async def advance(db: Database, storage: Storage) -> bool:
    """Do a part of every erasure that is not finished. True when more can be done at once.

    Raises what database and storage raise, once every erasure had its turn: what holds up one holds up no other.
    """
    more = False
    failed: Exception | None = None
    for erasure in await erasing.running(db):
        try:
            more |= await _advance(db, storage, erasure)
        except Exception as error:
            failed = error
    if failed is not None:
        raise failed
    return more


async def _advance(db: Database, storage: Storage, erasure: Erasure) -> bool:
    if erasure.collected_at is None:
        if found := await erasing.uncollected(db, erasure, limit=BATCH):
            for recording_id in found:
                await erasing.collect(db, erasure.id, recording_id)
            return True
        await erasing.end_collecting(db, erasure.id)
    purged = await erasing.note_purged(db, erasure.id, limit=BATCH)
    absent = []
    for at in range(0, len(purged), LOOKUPS):
        some = purged[at : at + LOOKUPS]
        found_absent = await asyncio.gather(*(_is_absent(storage, one.objects) for one in some))
        absent += [one.recording_id for one, is_absent in zip(some, found_absent, strict=True) if is_absent]
    if absent and await erasing.verify(db, erasure.id, absent):
        return True
    if await erasing.finish(db, erasure.id):
        log.info("erasure_finished", erasure_id=str(erasure.id))
    return False


async def _is_absent(storage: Storage, names: Sequence[str]) -> bool:
    """Whether storage has none of these objects. What it has all the same is deleted, and looked for again next time."""
    for name in names:
        try:
            if await storage.find(name) is None:
                continue
            await storage.delete(name)
        except Refused as error:
            log.warning("object_not_looked_up", object=name, error=str(error))
        else:
            log.warning("erased_object_was_there", object=name)
        return False
    return True
