"""What is held of a recording, for who runs the deck: sizes, counts, codes and states, and nothing of what it shows.

Deleted recordings too, until they are purged: of those it is what is left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlmodel import col

from models.db import Database
from models.lives import bounded
from models.object import ObjectState, StoredObject
from models.recording import Payload, Recording, Replay, Tape
from replay.index import BadIndex, Index

OBJECTS_MAX = 200


class Waiting(NamedTuple):
    """Payload in Postgres: chunks of the batches that the client sent, and their compressed bytes."""

    parts: int
    size: int


@dataclass(frozen=True)
class Holdings:
    """A recording, what waits of it, its objects, oldest first, up to OBJECTS_MAX and one; the parts of its tape, None without one;
    and its rows, if there are any."""

    recording: Recording
    waiting: Waiting
    objects: Sequence[StoredObject]
    tape_parts: int | None
    rows: Replay | None

    @property
    def sidecar(self) -> StoredObject | None:
        """The object beside the tape, while the recording refers to it."""
        name = self.recording.sidecar_name
        live = (one for one in self.objects if one.state is ObjectState.LIVE)
        return next((one for one in live if one.name == name), None)


async def holdings_of(db: Database, recording_id: UUID) -> Holdings | None:
    """What is held of a recording; None when there is none (any more). Raises TooCostly."""
    payload = select(func.count(), func.coalesce(func.sum(func.octet_length(col(Payload.data))), 0))
    objects = select(StoredObject).where(col(StoredObject.recording_id) == recording_id)
    index = select(col(Tape.index)).where(col(Tape.recording_id) == recording_id)
    async with bounded(db) as session:
        recording = await session.get(Recording, recording_id)
        if recording is None:
            return None
        waiting = (await session.execute(payload.where(col(Payload.recording_id) == recording_id))).one()
        stored = await session.execute(
            objects.order_by(col(StoredObject.created_at), col(StoredObject.name)).limit(OBJECTS_MAX + 1)
        )
        tape = (await session.execute(index)).scalar_one_or_none()
        rows = await session.get(Replay, recording_id)
        has_rows = rows is not None and rows.related_at is not None
        return Holdings(
            recording,
            Waiting(*waiting),
            stored.scalars().all(),
            None if tape is None else _parts(tape),
            rows if has_rows else None,
        )


def _parts(index: bytes) -> int | None:
    try:
        return len(Index.decode(index, snapshots=False).parts)
    except BadIndex:
        return None
