"""What the operators' API answers with about one recording: sizes, counts, reasons and codes; nothing of what it shows."""

from typing import Literal
from uuid import UUID

import msgspec

from app.documents import FailureDocument, Timestamp
from app.ops_documents import LifeDocument
from models.recording import Source
from replay.findings import Warning  # noqa: A004  # API.md's word


class WaitingDocument(msgspec.Struct):
    """Payload in Postgres, as compressed: until it was processed, and of a recording that failed until `kept_until`, null while
    nothing ends it."""

    parts: int
    bytes: int
    kept_until: Timestamp | None


class TapeDocument(msgspec.Struct):
    """The stored object with the events, unless it was deleted: their JSON, and how many times larger that is than what is stored."""

    name: str
    parts: int | None
    events: int
    json_bytes: int
    stored_bytes: int
    ratio: float | None


class ObjectDocument(msgspec.Struct):
    """An object in storage: `pending` while a job may be putting it, `live`, or `dead` once nothing refers to it; then deleted after
    `expires_at`. `bytes` is null until it is known."""

    name: str
    kind: str
    state: str
    bytes: int | None
    created_at: Timestamp
    expires_at: Timestamp | None


class AccountDocument(msgspec.Struct):
    """What happened to every event: received = stored + duplicate + rejected."""

    received: int
    stored: int
    duplicate: int
    rejected: int


class RejectedDocument(msgspec.Struct):
    """Why events and logs were rejected: how many for each reason. Only `told` ones are known; else `state` says why not: storage
    is away, what would have to be read is too large, this process is busy, or nothing keeps the reasons (any more)."""

    state: Literal["none", "told", "storage_away", "too_large", "busy", "not_kept"]
    reasons: dict[str, int]


class RowsDocument(msgspec.Struct):
    """Its rows in SQL. `current`: they are of the live tape; others are hidden until they are made anew."""

    events: int
    made_at: Timestamp
    current: bool


class OperatedRecording(LifeDocument):
    """A recording's life, and what is held of it. `account` is null until it was processed. `bytes_by_type` adds up to the events'
    JSON; `masked` counts by rule."""

    project_id: UUID
    name: str | None
    source: Source
    created_at: Timestamp
    updated_at: Timestamp
    is_open: bool
    on_hold: bool
    has_video: bool
    failure: FailureDocument | None
    payload: WaitingDocument
    tape: TapeDocument | None
    objects: list[ObjectDocument]
    more_objects: bool
    account: AccountDocument | None
    rejected: RejectedDocument
    masked: dict[str, int]
    bytes_by_type: dict[str, int]
    warnings: list[Warning]
    rows: RowsDocument | None
