"""What accepting is compared with: servers of one process, on the same uvicorn, event loop, HTTP parser and Postgres as ours.

    python -m benchmarks.accept_servers usual|floor PORT DATABASE_URL [PAYLOAD]

*usual* is what people write: FastAPI, a pydantic model, one SQLAlchemy row with a JSONB column. It asks nobody for a key.
*floor* is what no server that keeps recordings in Postgres can be faster than: it reads the body, looks at none of it, and
does one INSERT of the file PAYLOAD, which was compressed beforehand.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import asyncpg
from fastapi import Depends, FastAPI
from litestar import Litestar, Request, post
from litestar.datastructures import State
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import DateTime, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.assembly import POOL_SIZE
from benchmarks.under_load import serve
from models.db import async_url

PATH = "/recordings"


class Base(DeclarativeBase):
    type_annotation_map = {list[dict[str, Any]]: JSONB, datetime: DateTime(timezone=True)}  # noqa: RUF012  # its idiom


class UsualRecording(Base):
    __tablename__ = "usual_recording"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str | None]
    status: Mapped[str] = mapped_column(default="uploading")
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    duration_ms: Mapped[int | None]
    event_count: Mapped[int | None]
    events: Mapped[list[dict[str, Any]]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class NewRecording(BaseModel):
    name: str | None = Field(None, max_length=500)
    started_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    duration_ms: int | None = Field(None, ge=0)
    event_count: int | None = Field(None, ge=0)
    events: list[dict[str, Any]] = Field(min_length=1)


class Created(BaseModel):
    id: UUID
    status: str


def usual(database_url: str) -> FastAPI:
    """FastAPI + pydantic + SQLAlchemy."""
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

    @app.post(PATH, status_code=201)
    async def create(new: NewRecording, session: Annotated[AsyncSession, Depends(session)]) -> Created:
        recording = UsualRecording(**new.model_dump())
        session.add(recording)
        await session.commit()
        return Created(id=recording.id, status=recording.status)

    return app


def floor(database_url: str, payload: bytes) -> Litestar:
    """Read the body, INSERT the payload."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with asyncpg.create_pool(database_url, min_size=POOL_SIZE, max_size=POOL_SIZE) as pool:
            await pool.execute("CREATE TABLE IF NOT EXISTS floor_payload (id uuid PRIMARY KEY, data bytea)")
            await pool.execute("ALTER TABLE floor_payload ALTER COLUMN data SET STORAGE EXTERNAL")
            app.state.pool = pool
            yield

    @post(PATH, request_max_body_size=None)
    async def create(request: Request[Any, Any, Any], state: State) -> dict[str, str]:
        await request.body()
        recording_id = uuid4()
        await state.pool.execute("INSERT INTO floor_payload VALUES ($1, $2)", recording_id, payload)
        return {"id": str(recording_id), "status": "uploading"}

    return Litestar([create], lifespan=[lifespan], openapi_config=None, logging_config=None)


def main() -> None:
    """Serve on loopback until SIGTERM."""
    which, port, database_url, *payload = sys.argv[1:]
    app = usual(database_url) if which == "usual" else floor(database_url, Path(payload[0]).read_bytes())
    serve(app, int(port))


if __name__ == "__main__":
    main()
