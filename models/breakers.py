"""Circuit breakers: what a kind of job needs is away, so that trying would help nobody.

    closed ──a job could not reach it──▶ suspected ──a probe cannot either──▶ open ──a probe can──▶ closed
       ▲                                     │                                 ▲
       ├───────────a probe can───────────────┘                                 │
       └─────────────────────────────────────────────a probe cannot────────────┘

Jobs only raise a suspicion: what one object or one slow answer does to one job stops no other. The dispatcher probes, at
once when something is suspected, every few seconds while jobs run, again and again while it is open; and its probe alone
opens and closes. While a breaker is open nobody rings for the kinds that need it, and a job that was rung for before is
not begun: it stays due, and spends nothing.

Nothing is held back for ever: once a breaker has been open for as long as an outage may last, jobs are tried again, and
an outage that a job waited through counts against its outage deadline (`models.ledger.settle`). So each still ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from models.columns import enum_type
from models.db import Database
from models.job import Job, JobKind

PROBE_S = 1.0
PROBE_MAX_S = (
    5.0  # work goes on soon after what it needs is back; so often, too, while jobs run and nothing is wrong
)
REASON_CHARS = 300


class Dependency(StrEnum):
    """What jobs need, besides Postgres."""

    STORAGE = "storage"


class BreakerState(StrEnum):
    """Whether jobs that need it are begun."""

    CLOSED = "closed"
    SUSPECTED = "suspected"  # they are; a probe is due
    OPEN = "open"  # they are not


NEEDS: Mapping[Dependency, frozenset[JobKind]] = {Dependency.STORAGE: frozenset(JobKind) - {JobKind.CLOSE}}
"""The kinds that a dependency holds back while it is away."""

AWAY = f"""EXISTS (
    SELECT FROM breaker JOIN (VALUES {", ".join(f"('{each}', '{kind}')" for each in NEEDS for kind in sorted(NEEDS[each]))})
        AS needed (name, by) ON needed.name = dependency
    WHERE state = '{BreakerState.OPEN}' AND held_until > now() AND needed.by = {{kind}}
)"""  # constants only
"""SQL: whether what jobs of `kind` need is away."""


class Breaker(SQLModel, table=True):
    """The breaker of a dependency; without a row it was never suspected.

    `failures`: probes that failed since it opened; `held_until`: it holds nothing back after this.
    """

    __tablename__ = "breaker"

    dependency: Dependency = Field(sa_type=enum_type(Dependency), primary_key=True)
    state: BreakerState = Field(sa_type=enum_type(BreakerState))
    reason: str | None = None
    suspected_at: datetime | None = None
    opened_at: datetime | None = None
    held_until: datetime | None = None
    closed_at: datetime | None = None
    failures: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    probe_at: datetime | None = None
    probe_error: str | None = None


HELD_BACK_SINCE = (
    select(func.greatest(col(Breaker.opened_at), col(Job.due_at)))
    .where(col(Breaker.dependency) == Dependency.STORAGE, col(Breaker.state) == BreakerState.OPEN)
    .correlate(Job)
    .scalar_subquery()
)
"""SQL: since when storage's breaker has held a job back; null when it is not open."""


@dataclass(frozen=True)
class Change:
    """What a probe changed: the breaker opened, or closed after so many seconds."""

    state: BreakerState
    open_s: float


_SUSPECT = text(
    """
    INSERT INTO breaker (dependency, state, reason, suspected_at, probe_at)
    VALUES (:dependency, 'suspected', :reason, now(), now())
    ON CONFLICT (dependency) DO UPDATE
        SET state = 'suspected', reason = excluded.reason, suspected_at = now(), probe_at = now()
        WHERE breaker.state = 'closed'
    """
)
# The next probe's time is set before this one: two dispatchers take turns, and one that dies is replaced.
_TAKE_PROBE = text(
    """
    WITH busy AS (
        SELECT count(*) > 0 AS yes
        FROM (SELECT FROM job WHERE state = 'running' ORDER BY lease_until LIMIT 1) AS running
    ), first AS (
        INSERT INTO breaker (dependency, state, probe_at)
        SELECT name, 'closed', now() + make_interval(secs => :most_s)
        FROM unnest(CAST(:dependencies AS text[])) AS name, busy
        WHERE busy.yes AND NOT EXISTS (SELECT FROM breaker WHERE dependency = name)
        ON CONFLICT DO NOTHING RETURNING dependency
    ), next AS (
        UPDATE breaker SET probe_at = now() + make_interval(secs =>
            CASE state WHEN 'closed' THEN :most_s ELSE least(:most_s, :pause_s * power(2, least(greatest(failures - 1, 0), 9))) END)
        FROM busy
        WHERE (state <> 'closed' OR busy.yes) AND (probe_at IS NULL OR probe_at <= now())
        RETURNING dependency
    )
    SELECT dependency FROM first UNION ALL SELECT dependency FROM next
    """
)
_CLOSE = text(
    """
    UPDATE breaker SET state = 'closed', closed_at = now(), failures = 0, probe_error = NULL, held_until = NULL
    FROM (SELECT * FROM breaker WHERE dependency = :dependency AND state <> 'closed' FOR UPDATE) AS before
    WHERE breaker.dependency = before.dependency
    RETURNING before.state, extract(epoch FROM now() - before.opened_at)::float
    """
)
_OPEN = text(
    """
    UPDATE breaker SET
        state = 'open', failures = breaker.failures + 1, probe_error = :error,
        opened_at = CASE before.state WHEN 'open' THEN before.opened_at ELSE now() END,
        held_until = CASE before.state WHEN 'open' THEN before.held_until
                     ELSE now() + make_interval(secs => :longest_s) END
    FROM (SELECT * FROM breaker WHERE dependency = :dependency FOR UPDATE) AS before
    WHERE breaker.dependency = before.dependency
    RETURNING before.state, 0.0
    """
)


async def all_of(session: AsyncSession) -> Sequence[Breaker]:
    """Every breaker, also those that were never suspected."""
    known = {breaker.dependency: breaker for breaker in (await session.execute(select(Breaker))).scalars()}
    return [known.get(each) or Breaker(dependency=each, state=BreakerState.CLOSED) for each in Dependency]


async def suspect(db: Database, dependency: Dependency, reason: str) -> None:
    """A job could not reach it. Changes nothing once that is known."""
    values = {"dependency": dependency.value, "reason": reason[:REASON_CHARS]}
    async with db.autocommit() as connection:
        await connection.execute(_SUSPECT, values)


async def take_probes(db: Database) -> Sequence[Dependency]:
    """What is to be probed now, by the caller alone."""
    values = {"dependencies": [each.value for each in Dependency], "pause_s": PROBE_S, "most_s": PROBE_MAX_S}
    async with db.transaction() as session:
        due = await session.execute(_TAKE_PROBE, values)
        return [Dependency(name) for name in due.scalars()]


async def probed(
    db: Database, dependency: Dependency, error: str | None, *, longest_s: float
) -> Change | None:
    """A probe reached the dependency, or did not: `error` says why. Returns what that changed.

    `longest_s` is how long a breaker may hold jobs back.
    """
    values: dict[str, Any] = {"dependency": dependency.value}
    if error is not None:
        values |= {"error": error[:REASON_CHARS], "longest_s": longest_s}
    async with db.autocommit() as connection:
        found = (await connection.execute(_CLOSE if error is None else _OPEN, values)).one_or_none()
    if found is None:
        return None
    before, open_s = found
    if error is None:
        return Change(BreakerState.CLOSED, open_s) if before == BreakerState.OPEN else None
    return None if before == BreakerState.OPEN else Change(BreakerState.OPEN, 0)
