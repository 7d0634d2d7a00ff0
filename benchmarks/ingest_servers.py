"""What ingesting batches is compared with: FastAPI, pydantic and SQLAlchemy, one process, on the same Postgres as ours.

    python -m benchmarks.ingest_servers each|together PORT DATABASE_URL

A batch is validated as models, and each of its events becomes a row, all of them in one transaction. *each* does what people
usually write, `await session.execute(insert(Event).values(…))` for every event; *together* leaves them to the session
(`add_all`), which sends many rows in one statement. Neither asks anybody for a key, or notices a batch that comes twice.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import Depends, FastAPI
from pydantic import BaseModel, Field
from sqlalchemy import BigInteger, DateTime, func, insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.assembly import POOL_SIZE
from benchmarks.under_load import serve
from models.db import async_url

PATH = "/replay"


class Base(DeclarativeBase):
    type_annotation_map = {datetime: DateTime(timezone=True)}  # noqa: RUF012  # its idiom


class UsualEvent(Base):
    __tablename__ = "usual_event"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    session_id: Mapped[str] = mapped_column(index=True)
    fingerprint: Mapped[str]
    event_type: Mapped[str]
    event_data: Mapped[str]
    url: Mapped[str | None]
    timestamp_millis: Mapped[int] = mapped_column(BigInteger)
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())


class NewEvent(BaseModel):
    event_type: str = Field(alias="eventType", min_length=1, max_length=100)
    event_data: str = Field(alias="eventData")
    url: str | None = None
    timestamp_millis: int = Field(alias="timestampMillis", ge=0)


class NewBatch(BaseModel):
    fingerprint: str = Field(min_length=1, max_length=200)
    session_id: str = Field(alias="sessionId", min_length=1, max_length=200)
    events: list[NewEvent] = Field(min_length=1)


class Received(BaseModel):
    success: bool
    events_received: int
    request_id: UUID


def usual(database_url: str, *, together: bool) -> FastAPI:
    """The service."""
    engine = create_async_engine(async_url(database_url), pool_size=POOL_SIZE, max_overflow=0)
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield
        await engine.dispose()

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions() as opened:
            yield opened

    app = FastAPI(lifespan=lifespan)

    @app.post(PATH, status_code=202)
    async def ingest(batch: NewBatch, session: Annotated[AsyncSession, Depends(session)]) -> Received:
        rows = [_row(batch, event) for event in batch.events]
        if together:
            session.add_all([UsualEvent(**row) for row in rows])
        else:
            for row in rows:
                await session.execute(insert(UsualEvent).values(**row))
        await session.commit()
        return Received(success=True, events_received=len(rows), request_id=uuid4())

    return app


def _row(batch: NewBatch, event: NewEvent) -> dict[str, Any]:
    return {"session_id": batch.session_id, "fingerprint": batch.fingerprint, **event.model_dump()}


def main() -> None:
    """Serve on loopback until SIGTERM."""
    which, port, database_url = sys.argv[1:]
    serve(usual(database_url, together=which == "together"), int(port))


if __name__ == "__main__":
    main()
