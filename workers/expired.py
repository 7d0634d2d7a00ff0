"""Deleting the objects that nothing refers to any more."""

from uuid import UUID

import structlog

from models import sweep
from models.db import Database
from storage.protocol import Storage, StorageError, Unavailable

BATCH = 100
PUT_OFF_S = 600
PUT_OFF_AWAY_S = 5

log = structlog.get_logger()


async def delete_expired(db: Database, storage: Storage, *, recording_id: UUID | None = None) -> None:
    """Delete every object whose time is over, of one recording or of all.

    What storage refuses to delete is put off, so that the rest does not wait for it. Raises Unavailable.
    """
    while names := await sweep.take_expired_objects(db, limit=BATCH, recording_id=recording_id):
        gone: list[str] = []
        try:
            for name in names:
                try:
                    await storage.delete(name)
                except StorageError as error:
                    away = isinstance(error, Unavailable)
                    await sweep.put_off_object(db, name, delay_s=PUT_OFF_AWAY_S if away else PUT_OFF_S)
                    if away:
                        raise
                    log.warning("object_not_deleted", object=name, error=str(error))
                else:
                    gone.append(name)
        finally:
            await sweep.forget_objects(db, gone)
        log.info("objects_deleted", count=len(gone))
