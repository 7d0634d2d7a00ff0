"""How many bytes of payload wait in Postgres: sizes only, of what clients sent nothing is read.

Postgres knows the size of a payload that is stored apart (TOAST) without fetching it, so a few million of those are seen within a second. Small
ones stand in the table itself: past `EXACT_BLOCKS` of it, that many are drawn by lot and stand for all.
"""

from sqlalchemy import text

from models.db import Database

EXACT_BLOCKS = 16_384  # 128 MiB

_BLOCKS = text("SELECT pg_relation_size('payload') / current_setting('block_size')::bigint")
_BYTES = text(
    "SELECT coalesce(sum(octet_length(data)), 0)::bigint FROM payload TABLESAMPLE SYSTEM (:percent)"
)


async def pending_bytes(db: Database) -> int:
    """Bytes of payload, as stored."""
    async with db.autocommit() as connection:
        blocks = (await connection.execute(_BLOCKS)).scalar_one()
        share = min(1.0, EXACT_BLOCKS / max(1, blocks))
        seen: int = (await connection.execute(_BYTES, {"percent": 100 * share})).scalar_one()
    return int(seen / share)
