"""What time itself makes due: objects nobody refers to, recordings and payloads kept long enough, keys to forget.

Each function takes a bounded batch, so that no transaction is long; call again while it returns as much as it may.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import TextClause, text

from models.accept import KEY_HOURS
from models.db import Database


async def take_expired_objects(
    db: Database, *, limit: int, recording_id: UUID | None = None
) -> Sequence[str]:
    """Names of objects that nothing refers to and no put can still be writing. From here on no commit can revive them.

    Delete them in storage, then call `forget_objects`; whatever fails in between is taken again.
    """
    of_recording = "AND recording_id = :recording_id" if recording_id else ""
    statement = text(
        f"""
        UPDATE object SET state = 'dead' WHERE name IN (
            SELECT name FROM object
            WHERE state <> 'live' AND expires_at < clock_timestamp() {of_recording}
            ORDER BY expires_at LIMIT :limit FOR UPDATE SKIP LOCKED
        ) RETURNING name
        """  # noqa: S608  # constants only
    )
    values = {"limit": limit} | ({"recording_id": recording_id} if recording_id else {})
    async with db.transaction() as session:
        return (await session.execute(statement, values)).scalars().all()


async def uploads_of(db: Database, recording_id: UUID) -> Sequence[str]:
    """Names of the dead uploads of a recording: whatever was put there may be deleted now, and once more in the end."""
    statement = text(
        "SELECT name FROM object WHERE recording_id = :id AND kind = 'incoming' AND state = 'dead'"
    )
    async with db.autocommit() as connection:
        return (await connection.execute(statement, {"id": recording_id})).scalars().all()


async def put_off_object(db: Database, name: str, *, delay_s: float) -> None:
    """This object could not be deleted: it is taken again after a while, and others first."""
    statement = text(
        """
        UPDATE object SET expires_at = clock_timestamp() + make_interval(secs => :delay_s)
        WHERE name = :name AND state = 'dead'
        """
    )
    async with db.transaction() as session:
        await session.execute(statement, {"name": name, "delay_s": delay_s})


async def forget_objects(db: Database, names: Sequence[str]) -> None:
    """These objects are gone from storage."""
    async with db.transaction() as session:
        await session.execute(
            text("DELETE FROM object WHERE name = ANY(:names) AND state = 'dead'"), {"names": list(names)}
        )


async def expired_recordings(db: Database, *, limit: int) -> Sequence[tuple[UUID, UUID]]:
    """(tenant_id, id) of recordings that their project keeps no longer: `limit` of each project at most, oldest first.

    Ids sort by the time they were made, so the index that lists a project's recordings finds them; a recording
    whose id and `created_at` disagree is kept until both say that its time is over.
    """
    statement = text(
        """
        SELECT expired.tenant_id, expired.id FROM project
        CROSS JOIN LATERAL (SELECT now() - make_interval(secs => retention_days * 86400) AS before) AS kept
        CROSS JOIN LATERAL (
            SELECT recording.tenant_id, recording.id FROM recording
            WHERE recording.tenant_id = project.tenant_id AND project_id = project.id
              AND deleted_at IS NULL AND held_at IS NULL AND created_at < before
              AND recording.id < CAST(rpad(lpad(to_hex(greatest(
                  0, floor(extract(epoch FROM before) * 1000))::bigint), 12, '0'), 32, '0') AS uuid)
            ORDER BY recording.id LIMIT :limit
        ) AS expired
        WHERE retention_days IS NOT NULL
        """
    )
    async with db.autocommit() as connection:
        return [(row.tenant_id, row.id) for row in await connection.execute(statement, {"limit": limit})]


async def drop_failed_payloads(db: Database, *, days: float, limit: int) -> int:
    """Drop payloads and uploads of recordings that failed more than `days` ago. Returns of how many recordings."""
    statement = text(
        """
        WITH old AS (
            SELECT recording.id, upload_name FROM recording
            WHERE status = 'failed' AND failure_at < now() - make_interval(secs => :seconds)
              AND held_at IS NULL AND NOT is_open
              AND (upload_name IS NOT NULL
                   OR EXISTS (SELECT 1 FROM payload WHERE payload.recording_id = recording.id))
            ORDER BY failure_at LIMIT :limit FOR UPDATE OF recording SKIP LOCKED
        ), gone AS (
            DELETE FROM payload USING old WHERE payload.recording_id = old.id
        ), dead AS (
            UPDATE object SET state = 'dead', expires_at = greatest(object.expires_at, clock_timestamp())
            FROM old WHERE object.name = old.upload_name
        ), bare AS (
            UPDATE recording SET upload_name = NULL FROM old WHERE recording.id = old.id
        )
        SELECT count(*) FROM old
        """
    )
    async with db.transaction() as session:
        return int((await session.execute(statement, {"seconds": days * 86400, "limit": limit})).scalar_one())


async def forget_sign_ins(db: Database, *, limit: int) -> int:
    """Forget sessions that have expired, and tries to sign in that no longer count. Returns how many."""
    gone = 0
    for table, key, until in (
        ("sign_in_session", "token_hash", "expires_at"),
        ("sign_in_tries", "subject", "forgotten_at"),
    ):
        statement = text(
            f"""
            WITH gone AS (
                DELETE FROM {table} WHERE {key} IN (
                    SELECT {key} FROM {table} WHERE {until} < now() ORDER BY {until} LIMIT :limit FOR UPDATE SKIP LOCKED
                ) RETURNING 1
            )
            SELECT count(*) FROM gone
            """  # noqa: S608  # constants only
        )
        async with db.transaction() as session:
            gone += int((await session.execute(statement, {"limit": limit})).scalar_one())
    return gone


async def forget_idempotency_keys(db: Database, *, limit: int) -> int:
    """Forget keys whose time is over. Returns how many."""
    statement = text(
        """
        WITH gone AS (
            DELETE FROM idempotency_key WHERE (project_id, key) IN (
                SELECT project_id, key FROM idempotency_key
                WHERE created_at < now() - make_interval(hours => :hours) ORDER BY created_at LIMIT :limit
            ) RETURNING 1
        )
        SELECT count(*) FROM gone
        """
    )
    async with db.transaction() as session:
        return int((await session.execute(statement, {"hours": KEY_HOURS, "limit": limit})).scalar_one())


async def forget_audit(db: Database, *, days: float, limit: int) -> int:
    """Forget what operators did longer ago: entries of the audit log, and actions that have ended. Returns how many of each
    at most."""
    async with db.transaction() as session:
        gone = [
            len((await session.execute(_forget_oldest(*old), {"days": days, "limit": limit})).all())
            for old in (("audit_log", "at"), ("action", "finished_at"))
        ]
    return max(gone)


def _forget_oldest(table: str, since: str) -> TextClause:
    """Of the oldest rows: ids are in the order in which they were made, so nothing else need be looked at."""
    return text(
        f"""
        DELETE FROM {table} WHERE id IN (
            SELECT id FROM (SELECT id, {since} FROM {table} ORDER BY id LIMIT :limit) AS oldest
            WHERE {since} < now() - make_interval(secs => :days * 86400)
        ) RETURNING id
        """  # noqa: S608  # constants only
    )
