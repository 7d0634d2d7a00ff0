"""Postgres: is it there, would it keep what it acknowledged, does it have our schema, is its clock ours?"""

import asyncio
import time
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.doctor.findings import Finding, Findings, fail, line, ok, place, warn
from models import migrate
from models.db import MIN_SERVER_VERSION, NEEDED_VERSION, Database, UnsafeServer

CONNECTIONS = 36  # of one process of each kind
LIMIT_S = 8
SHOWN = ("server_version", "server_version_num", "fsync", "full_page_writes", "synchronous_commit",
         "server_encoding", "transaction_read_only", "max_connections", "superuser_reserved_connections")  # fmt: skip
SKEW_S, WORST_SKEW_S = 2.0, 60.0


async def database(url: str) -> Findings:
    """All that is to be said of the database that the URL names."""
    db = Database(url, pool_size=1, limit_s=LIMIT_S, application="tapedeck doctor")
    try:
        async with db.autocommit() as connection:
            started = time.perf_counter()
            await connection.execute(text("SELECT 1"))
            answers_ms = (time.perf_counter() - started) * 1000
            shown = {name: (await connection.execute(text(f"SHOW {name}"))).scalar_one() for name in SHOWN}
            yield ok(
                "database",
                f"Postgres {shown['server_version']} at {place(url)} answers in {answers_ms:.0f} ms",
            )
            for finding in _of_settings(shown):
                yield finding
            yield await _of_schema(connection)
            yield await _of_clock(connection)
    except UnsafeServer:
        yield fail("database", f"{NEEDED_VERSION}: upgrade the server at {place(url)}")
    except Exception as error:  # whatever the driver calls it, the operator has one thing to do
        says = f"cannot use Postgres at {place(url)}: {line(error)}; start it, or correct DATABASE_URL"
        yield fail("database", says)
    finally:
        await db.close()


def _of_settings(shown: dict[str, str]) -> list[Finding]:
    found = []
    if int(shown["server_version_num"]) < MIN_SERVER_VERSION:
        found.append(fail("database", f"{NEEDED_VERSION}: upgrade the server"))
    if shown["server_encoding"] != "UTF8":
        found.append(fail("database", f"its encoding is {shown['server_encoding']}: make one with UTF8"))
    if shown["transaction_read_only"] == "on":
        found.append(fail("database", "it is read-only, as a standby is: let DATABASE_URL name the primary"))
    free = int(shown["max_connections"]) - int(shown["superuser_reserved_connections"])
    if free < CONNECTIONS:
        says = f"it takes {free} connections, one process of each kind needs {CONNECTIONS}: raise max_connections"
        found.append(warn("database", says))
    off = [name for name in ("fsync", "synchronous_commit", "full_page_writes") if shown[name] == "off"]
    if off:
        says = f"{' and '.join(off)} off: accepted recordings could be lost; turn on, and restart Postgres"
        found.append(fail("durability", says))
    else:
        found.append(ok("durability", f"fsync on, synchronous_commit {shown['synchronous_commit']}"))
    return found


async def _of_schema(connection: AsyncConnection) -> Finding:
    head = await asyncio.to_thread(migrate.head)
    known = (await connection.execute(text("SELECT to_regclass('alembic_version') IS NOT NULL"))).scalar_one()
    query = text("SELECT version_num FROM alembic_version")
    current = (await connection.execute(query)).scalar() if known else None
    if current == head:
        return ok("migrations", f"the schema is at {head}")
    if current is not None and current > head:
        says = f"the schema is at {current}, newer than this code, which needs {head}: install the newer code"
        return fail("migrations", says)
    says = f"the schema is {f'at {current}' if current else 'empty'}, this code needs {head}: run `tapedeck migrate`"
    return fail("migrations", says)


async def _of_clock(connection: AsyncConnection) -> Finding:
    before = time.time()
    theirs: datetime = (await connection.execute(text("SELECT clock_timestamp()"))).scalar_one()
    return of_clock("Postgres", theirs.timestamp() - (before + time.time()) / 2)


def of_clock(whose: str, ahead_s: float) -> Finding:
    """What a clock means that is so many seconds ahead of this machine's."""
    skew_s = abs(ahead_s)
    if skew_s < SKEW_S:
        return ok("clock", f"this machine and {whose} agree within {SKEW_S:g} s")
    says = (
        f"{whose} is {skew_s:.0f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine: let both use NTP, "
        "or signed URLs end too early or too late"
    )
    return fail("clock", says) if skew_s > WORST_SKEW_S else warn("clock", says)
