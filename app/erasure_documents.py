"""What the erasures API answers with."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import msgspec

from app.documents import Timestamp, timestamp
from models.erasing import TABLES
from models.erasure import ErasedRecording, Progress, Subject

PAGE_MAX = 1000


class ErasurePreview(msgspec.Struct):
    """What an erasure would find now. `bytes`: of the recordings that it would erase, in storage and waiting."""

    dry_run: Literal[True]
    recordings: int
    on_hold: int
    bytes: int


class SubjectDocument(msgspec.Struct):
    """Whose recordings."""

    kind: Subject
    value: str


class ErasedDocument(msgspec.Struct):
    """A recording that was erased: gone from reads, purged, and seen to be absent from database and storage."""

    id: UUID
    accepted_at: Timestamp
    deleted_at: Timestamp | None
    purged_at: Timestamp | None
    objects: int
    verified_at: Timestamp | None


class Account(msgspec.Struct):
    """`recordings`: how many of this erasure there are. `purged`: what the tallies say of the hours they were accepted in."""

    recordings: int
    purged: int


class Tallies(msgspec.Struct):
    """Erasing moves recordings from those that there are to the purged ones; how many there ever were is unchanged.

    `purged` grows by more than was erased only where others of the same hours were purged meanwhile.
    """

    before: Account
    after: Account
    unchanged: bool


class Certificate(msgspec.Struct):
    """`recordings` is one page; `next_cursor` is null on the last one. `tables` have no row of any of them."""

    verified_at: Timestamp
    tables: list[str]
    tallies: Tallies
    recordings: list[ErasedDocument]
    next_cursor: UUID | None


class ErasureDocument(msgspec.Struct):
    """An erasure. found = erased + held once it is done; `on_hold` names the first 1000 of those that are held."""

    id: UUID
    state: Literal["running", "done"]
    subject: SubjectDocument
    requested_at: Timestamp
    finished_at: Timestamp | None
    found: int
    erased: int
    held: int
    on_hold: list[UUID]
    certificate: Certificate | None


def document_of(
    progress: Progress, on_hold: Sequence[UUID], certificate: Certificate | None
) -> ErasureDocument:
    """An erasure as its tenant sees it."""
    erasure = progress.erasure
    return ErasureDocument(
        id=erasure.id,
        state="running" if erasure.finished_at is None else "done",
        subject=SubjectDocument(erasure.subject, erasure.value),
        requested_at=timestamp(erasure.requested_at),
        finished_at=timestamp(erasure.finished_at) if erasure.finished_at else None,
        found=progress.found,
        erased=progress.erased,
        held=progress.on_hold,
        on_hold=list(on_hold),
        certificate=certificate,
    )


def certificate_of(progress: Progress, listed: Sequence[ErasedRecording], limit: int) -> Certificate:
    """The certificate of a finished erasure; of `listed`, one more than `limit` says that there is another page."""
    erasure = progress.erasure
    before = Account(progress.erased, erasure.purged_before or 0)
    after = Account(0, erasure.purged_after or 0)
    page = listed[:limit]
    return Certificate(
        verified_at=timestamp(erasure.finished_at) if erasure.finished_at else "",
        tables=list(TABLES),
        tallies=Tallies(before, after, unchanged=after.purged - before.purged >= progress.erased),
        recordings=[_erased(one) for one in page],
        next_cursor=page[-1].recording_id if len(listed) > limit else None,
    )


def _erased(one: ErasedRecording) -> ErasedDocument:
    return ErasedDocument(
        id=one.recording_id,
        accepted_at=timestamp(one.accepted_at),
        deleted_at=timestamp(one.deleted_at) if one.deleted_at else None,
        purged_at=timestamp(one.purged_at) if one.purged_at else None,
        objects=len(one.objects),
        verified_at=timestamp(one.verified_at) if one.verified_at else None,
    )
