"""What the administrators' commands share: they change a deck's database, and need no deck that runs.

Whoever may write to the database may do everything, so nobody asks them for a key.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec
import typer
from sqlalchemy.exc import DBAPIError

from app.credentials import FILE
from app.exits import REFUSED, UNREACHABLE, USAGE, Exit
from models import migrate
from models.administration import Absent, Refused
from models.db import Database, UnsafeServer, check_server, is_away
from settings import HomeSettings, load_home

T = TypeVar("T")
Tenant = Annotated[UUID | None, typer.Option("--tenant", metavar="ID", help="Only of this tenant.")]
TURNED_AWAY = ("28", "3D", "42501")  # bad credentials; no such database; no privilege


class _File(msgspec.Struct):
    """Of what `tapedeck up` writes, the part that leads to the database."""

    database_url: str


def on_database(work: Callable[[Database], Awaitable[T]]) -> T:
    """What `work` makes of the database that DATABASE_URL, or else `credentials.json`, names. Raises Exit."""
    url = _url(load_home())
    try:
        return asyncio.run(_work(url, work))
    except Refused as error:
        hint = f"; see `tapedeck {error.field}s list`" if isinstance(error, Absent) else ""
        raise Exit(f"{error.field}: {error}{hint}", REFUSED) from None
    except UnsafeServer as error:
        raise Exit(f"DATABASE_URL: {error}", USAGE) from None
    except Exception as error:
        if is_away(error):
            raise Exit(f"DATABASE_URL: cannot reach Postgres: {_first_line(error)}", UNREACHABLE) from None
        if _is_turned_away(error):
            raise Exit(f"DATABASE_URL: {_first_line(error)}", USAGE) from None
        raise


async def _work(url: str, work: Callable[[Database], Awaitable[T]]) -> T:
    db = Database(url, pool_size=1, limit_s=15, application="tapedeck admin")
    try:
        await check_server(db, head=migrate.head())
        return await work(db)
    finally:
        await db.close()


def _url(home: HomeSettings) -> str:
    if home.database_url is not None:
        return home.database_url
    path = home.home / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File).database_url
    except FileNotFoundError:
        raise Exit(
            f"no database to administer: set DATABASE_URL, or start a deck with `make up` (no {path})", USAGE
        ) from None
    except (OSError, msgspec.DecodeError) as error:
        raise Exit(f"{path}: {error}", USAGE) from None


def _is_turned_away(error: BaseException) -> bool:
    """Whether Postgres is there, but not for this user, or without this database."""
    state = getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None)
    return isinstance(state, str) and state.startswith(TURNED_AWAY)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
