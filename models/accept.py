"""Accepting a recording: one statement, one commit. What it wrote is all that the 201 depends on.

With a video that also is the row of the upload, so that it is never forgotten, and the job that will not wait for ever. Of
a complete session it also is what `models.recording.Replay` says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from models.conservation import COUNT_ACCEPTED
from models.db import Database, Statement
from models.ids import new_id
from models.job import JobKind
from models.object import ObjectKind, ObjectState, object_name
from models.payload import cut
from models.recording import OPENING, Source, Status
from models.status_change import Why
from models.trace import TRACEPARENT
from models.video import VideoTerms
from replay.client import Client

KEY_HOURS = 24


def _statement(beside: str = "") -> Statement:
    """The statement; `beside`: what else is to be written of what it accepts."""
    # A second request with the same key waits at the unique index until the first has committed, then inserts nothing.
    return Statement(
        f"""
    WITH mine AS (
        INSERT INTO idempotency_key (project_id, key, body_hash, recording_id)
        SELECT CAST(:project_id AS uuid), CAST(:key AS text), CAST(:body_hash AS bytea), CAST(:id AS uuid)
        WHERE CAST(:key AS text) IS NOT NULL
        ON CONFLICT (project_id, key) DO UPDATE
            SET body_hash = excluded.body_hash, recording_id = excluded.recording_id, created_at = now()
            WHERE idempotency_key.created_at < now() - interval '{KEY_HOURS} hours'
        RETURNING 1
    ), accepted AS (
        INSERT INTO recording (id, tenant_id, project_id, user_id, api_key_id, source, status, name, started_at, ended_at,
                               duration_ms, event_count, has_video, has_audio, navigations, session_id, fingerprint,
                               continues, is_open, upload_name, warnings, masked)
        SELECT CAST(:id AS uuid), CAST(:tenant_id AS uuid), CAST(:project_id AS uuid), CAST(:user_id AS uuid),
               CAST(:api_key_id AS uuid), CAST(:source AS text), 'uploading', CAST(:name AS text),
               CAST(:started_at AS timestamptz), CAST(:ended_at AS timestamptz), CAST(:duration_ms AS bigint),
               CAST(:event_count AS bigint), CAST(:has_video AS boolean), CAST(:has_audio AS boolean),
               CAST(:navigations AS jsonb), CAST(:session_id AS text), CAST(:fingerprint AS text),
               CAST(:continues AS uuid), CAST(:is_open AS boolean), CAST(:upload_name AS text), '[]', '{{}}'
        WHERE CAST(:key AS text) IS NULL OR EXISTS (SELECT 1 FROM mine)
        ON CONFLICT (project_id, session_id) WHERE is_open AND source = '{Source.STREAM}' DO NOTHING
        RETURNING id, tenant_id
    ), first AS (
        SELECT accepted.id, CASE WHEN CAST(:batch AS bigint) IS NULL THEN nextval('batch_number') ELSE :batch END AS batch
        FROM accepted
    ), stored AS (
        INSERT INTO payload (recording_id, batch, chunk, data)
        SELECT first.id, first.batch, part.chunk - 1, part.data
        FROM first, unnest(CAST(:chunks AS bytea[])) WITH ORDINALITY AS part (data, chunk)
    ), noted AS (
        INSERT INTO batch (recording_id, number, digest, size, total)
        SELECT first.id, first.batch, CAST(:digest AS bytea), CAST(:size AS bigint), CAST(:size AS bigint)
        FROM first WHERE CAST(:is_open AS boolean)
    ), told AS (
        INSERT INTO status_change (recording_id, at, status, why)
        SELECT accepted.id, now(), '{Status.UPLOADING}', '{Why.ACCEPTED}' FROM accepted
    ), owed AS (
        INSERT INTO job (id, kind, tenant_id, recording_id, due_at, ring_at, trace)
        SELECT CAST(:job_id AS uuid), CAST(:first_job AS text), accepted.tenant_id, accepted.id,
               due_at, CASE WHEN due_at > now() THEN due_at END, CAST(:trace AS text)
        FROM accepted, LATERAL (
            SELECT now() + make_interval(secs => CAST(:first_job_after_s AS double precision)) AS due_at
        ) AS first_job
    ), awaited AS (
        INSERT INTO object (name, kind, state, recording_id, expires_at)
        SELECT CAST(:upload_name AS text), '{ObjectKind.UPLOAD}', '{ObjectState.LIVE}', accepted.id,
               clock_timestamp() + make_interval(secs => CAST(:upload_ends_s AS double precision))
        FROM accepted WHERE CAST(:upload_name AS text) IS NOT NULL
        RETURNING recording_id
    ), limited AS (
        INSERT INTO job (id, kind, tenant_id, recording_id, due_at, ring_at, trace)
        SELECT CAST(:deadline_id AS uuid), '{JobKind.VIDEO_DEADLINE}', accepted.tenant_id, accepted.id, due_at, due_at,
               CAST(:trace AS text)
        FROM accepted JOIN awaited ON awaited.recording_id = accepted.id, LATERAL (
            SELECT now() + make_interval(secs => CAST(:video_wait_s AS double precision)) AS due_at
        ) AS deadline
    ), counted AS ({COUNT_ACCEPTED}) {beside}
    SELECT id FROM accepted
    """  # noqa: S608  # constants only
    )


_ACCEPT = _statement()
_ACCEPT_REPLAY = _statement(
    """, replayed AS (
        INSERT INTO replay (replay_id, html_hash, browser_name, browser_version, os_name, os_version, device_type,
                            viewport_width, viewport_height, ip)
        SELECT accepted.id, CAST(:html_hash AS text), CAST(:browser_name AS text), CAST(:browser_version AS text),
               CAST(:os_name AS text), CAST(:os_version AS text), CAST(:device_type AS text),
               CAST(:viewport_width AS integer), CAST(:viewport_height AS integer), CAST(:ip AS text)
        FROM accepted
    )"""
)

_FIRST = Statement(
    "SELECT recording_id, body_hash FROM idempotency_key WHERE project_id = :project_id AND key = :key"
)

# Asked once our row is there: who else opens this session waits for it, and who closed theirs before has committed.
_OVERTAKEN = Statement(
    f"""
    WITH other AS (
        SELECT id, created_at, deleted_at FROM recording
        WHERE tenant_id = :tenant_id AND project_id = :project_id AND session_id = :session_id
          AND source = '{Source.STREAM}' AND id <> :id
    )
    SELECT EXISTS (SELECT FROM other JOIN batch ON recording_id = other.id WHERE digest = :digest)
        OR (SELECT id FROM other WHERE deleted_at IS NULL ORDER BY created_at DESC, id DESC LIMIT 1)
           IS DISTINCT FROM CAST(:continues AS uuid)
    """  # noqa: S608  # constants only
)


class KeyReused(Exception):
    """This Idempotency-Key came before with another body."""


class KeyInProgress(Exception):
    """The first request with this Idempotency-Key is still being accepted."""


class SessionIsOpen(Exception):
    """There is an open recording of this session already, or there was since the caller looked."""


@dataclass(frozen=True)
class NewRecording:
    """What is known of a recording when it is accepted."""

    tenant_id: UUID
    project_id: UUID
    user_id: UUID
    api_key_id: UUID | None
    source: Source
    started_at: datetime
    name: str | None = None
    ended_at: datetime | None = None
    duration_ms: int | None = None
    event_count: int | None = None
    has_video: bool = False
    has_audio: bool = False
    navigations: Sequence[dict[str, Any]] = ()
    session_id: str | None = None
    fingerprint: str | None = None
    continues: UUID | None = None


@dataclass(frozen=True)
class Opening:
    """More batches will follow the first one, of which `digest` and decompressed `size` are noted. It is looked at again
    after `look_s` (`models.live`)."""

    digest: bytes
    size: int
    look_s: float


@dataclass(frozen=True)
class NewReplay:
    """What else is known of a complete session (`models.recording.Replay`)."""

    html_hash: str
    client: Client


@dataclass(frozen=True)
class Idempotency:
    """A client's Idempotency-Key and the SHA-256 of the decompressed body that came with it."""

    key: str
    body_hash: bytes


@dataclass(frozen=True)
class Accepted:
    """`replayed`: the recording was accepted before, under the same Idempotency-Key. `upload_name`: what to presign."""

    id: UUID
    replayed: bool = False
    upload_name: str | None = None


async def accept(
    db: Database,
    new: NewRecording,
    payload: bytes,
    idempotency: Idempotency | None = None,
    *,
    terms: VideoTerms,
    replay: NewReplay | None = None,
    opening: Opening | None = None,
) -> Accepted:
    """Write a recording, its payload (one zstd-compressed envelope) and its first jobs.

    Raises KeyReused, KeyInProgress; of a live session SessionIsOpen.
    """
    id_ = new_id()
    upload_name = object_name(ObjectKind.UPLOAD, new.tenant_id, id_, new_id()) if new.has_video else None
    values = {
        **vars(new),
        "id": id_,
        "job_id": new_id(),
        "deadline_id": new_id(),
        "upload_name": upload_name,
        "upload_ends_s": terms.upload_ends_s,
        "video_wait_s": terms.wait_s,
        "source": new.source.value,
        "navigations": msgspec.json.encode(new.navigations).decode(),
        "is_open": opening is not None,
        "batch": OPENING if opening else 0,
        "digest": opening.digest if opening else None,
        "size": opening.size if opening else None,
        "first_job": JobKind.CLOSE if opening else JobKind.PROCESS,
        "first_job_after_s": opening.look_s if opening else 0,
        "chunks": cut(payload),
        "trace": TRACEPARENT.get(),
        "key": idempotency.key if idempotency else None,
        "body_hash": idempotency.body_hash if idempotency else None,
    }
    if new.source is Source.STREAM:
        values["batch"] = None  # numbered in the order of arrival
        if not await _open_session(db, values):
            raise SessionIsOpen
        return Accepted(id_)
    statement = _ACCEPT
    if replay is not None:
        statement = _ACCEPT_REPLAY
        values |= {"html_hash": replay.html_hash, **msgspec.structs.asdict(replay.client)}
    first = None
    try:
        async with db.driver() as connection:
            accepted = await statement.fetchrow(connection, values)
            if accepted is None:
                first = await _FIRST.fetchrow(connection, values)
    except asyncpg.LockNotAvailableError:
        raise KeyInProgress from None
    if accepted is not None:
        return Accepted(id_, upload_name=upload_name)
    if first is None or idempotency is None:
        raise KeyInProgress
    if first["body_hash"] != idempotency.body_hash:
        raise KeyReused
    return Accepted(first["recording_id"], replayed=True)


async def _open_session(db: Database, values: Mapping[str, Any]) -> bool:
    """Whether it was opened. Not if it is open, nor if others opened and closed it since the caller looked: its batch may
    be in theirs, and what it continues is another."""
    async with db.driver() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            is_first = await _ACCEPT.fetchrow(connection, values) is not None
            if is_first:
                overtaken = await _OVERTAKEN.fetchrow(connection, values)
                is_first = overtaken is not None and not overtaken[0]
        except asyncpg.PostgresError:
            await transaction.rollback()
            raise
        await (transaction.commit() if is_first else transaction.rollback())
        return is_first
