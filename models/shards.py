"""Tallies that many count into at once: each session of Postgres in rows of its own, so that none waits for another one.

`shard` of such a row is the pid of the session. What is over, and counted by nobody any more, is gathered in shard 0.
"""

from collections.abc import Sequence

from sqlalchemy import TextClause, text

from models.db import Database


def gathering(table: str, keys: Sequence[str], counted: str, over: str) -> TextClause:
    """The statement that gathers up to `:limit` rows that are `over`: one row for each of the `keys`. It tells how many it took."""
    names = ", ".join(keys)
    same = " AND ".join(f"tallied.{key} = over.{key}" for key in (*keys, "shard"))
    return text(
        f"""
        WITH over AS (
            SELECT {names}, shard FROM {table} WHERE shard <> 0 AND {over} LIMIT :limit FOR UPDATE SKIP LOCKED
        ), gone AS (
            DELETE FROM {table} AS tallied USING over WHERE {same}
            RETURNING {", ".join(f"tallied.{name}" for name in (*keys, counted))}
        ), kept AS (
            INSERT INTO {table} AS kept ({names}, shard, {counted})
            SELECT {names}, 0, sum({counted}) FROM gone GROUP BY {names} ORDER BY {names}
            ON CONFLICT ({names}, shard) DO UPDATE SET {counted} = kept.{counted} + excluded.{counted}
        )
        SELECT count(*) FROM gone
        """  # noqa: S608  # the caller's constants, no input
    )


async def gather(db: Database, statement: TextClause, *, limit: int) -> int:
    """Gather rows that are over. Returns how many it took."""
    async with db.transaction() as session:
        gathered: int = (await session.execute(statement, {"limit": limit})).scalar_one()
        return gathered
