"""Asking for erasures, and what dispatcher and workers do for them."""

from typing import Any

import httpx
from sqlalchemy import text

from models.db import Database
from models.job import JobKind
from storage.protocol import Storage
from tests.models.steps import claimed, make_due
from workers import erasures
from workers.purge import purge
from workers.tools import Tools

ERASURES = "/api/v1/erasures"


async def erase(client: httpx.AsyncClient, **subject: Any) -> httpx.Response:
    return await client.post(ERASURES, json=subject)


class Hands:
    """What dispatcher and workers do for erasures, on the storage of `web`."""

    def __init__(self, db: Database, storage: Storage) -> None:
        self.db = db
        self.tools = Tools(db, storage, put_deadline_s=60, max_events_bytes=1 << 30, max_video_bytes=1 << 30)

    async def advance(self) -> None:
        while await erasures.advance(self.db, self.tools.storage):
            pass

    async def purge_all(self) -> None:
        async with self.db.transaction() as session:
            await session.execute(text("UPDATE object SET expires_at = now() - interval '1 second'"))
        await make_due(self.db)
        async with self.db.autocommit() as connection:
            ids = (
                await connection.execute(text("SELECT recording_id FROM job WHERE kind = 'purge'"))
            ).scalars()
        for id_ in ids:
            await purge(await claimed(self.db, id_, JobKind.PURGE), self.tools)

    async def finish(self) -> None:
        await self.advance()
        await self.purge_all()
        await self.advance()
