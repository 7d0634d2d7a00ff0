"""Conservation: every recording that was accepted is somewhere. For each hour in which recordings were accepted

    accepted = ready + failed + in progress + deleted

`accepted` is counted by the statement that accepts, in a table of its own (AcceptedTally). The others are counted anew from
the rows, and from the tallies of what was purged (`models.recording.Tally`), which move one recording from here to there in
one transaction. So the two sides are equal in every snapshot, whatever goes on meanwhile, and an hour in which they are not
is an alarm: a BrokenHour, which names the recordings as far as anything still tells of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import NamedTuple, Self
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Index, Uuid, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from models import shards
from models.db import Database
from models.ids import CLOCKS_DIFFER, first_id
from models.job import JobKind, JobState
from models.lives import bounded
from models.recording import Status
from models.shards import gathering

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
COUNTS = ("accepted", "ready", "failed", "in_progress", "deleted")
NAMED = 20  # recordings of an hour: enough to see what they have in common


class AcceptedTally(SQLModel, table=True):
    """How many recordings of an hour were accepted, by the session of Postgres that did (`models.shards`): no accept waits for
    another one."""

    __tablename__ = "accepted_tally"
    __table_args__ = (Index("ix_accepted_tally_tenant_id", "tenant_id", "hour"),)

    hour: datetime = Field(primary_key=True)
    tenant_id: UUID = Field(primary_key=True)
    shard: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    accepted: int = Field(sa_type=BigInteger)


class BrokenHour(SQLModel, table=True):
    """An hour that did not add up when it was looked at last. `missing` of its recordings are nowhere; a negative number:
    there are more than were accepted. `recordings` are some of them, as far as can be told."""

    __tablename__ = "broken_hour"

    hour: datetime = Field(primary_key=True)
    missing: int = Field(sa_type=BigInteger)
    recordings: list[UUID] = Field(sa_type=ARRAY(Uuid))
    noticed_at: datetime = Field(default=None, sa_column_kwargs={"server_default": text("now()")})


COUNT_ACCEPTED = """
    INSERT INTO accepted_tally AS tallied (hour, tenant_id, shard, accepted)
    SELECT date_trunc('hour', now(), 'UTC'), accepted.tenant_id, pg_backend_pid(), 1 FROM accepted
    ON CONFLICT (hour, tenant_id, shard) DO UPDATE SET accepted = tallied.accepted + 1
"""
"""The part of the accepting statement that counts what it accepts: `now()` is the recording's `created_at`, too."""


@dataclass(frozen=True)
class Sums:
    """Where the recordings are that were accepted in the hour, or the UTC day, from `since` on. `deleted` ones are purged, or will be."""

    since: datetime
    accepted: int
    ready: int
    failed: int
    in_progress: int
    deleted: int

    @property
    def missing(self) -> int:
        """0 when it adds up."""
        return self.accepted - self.ready - self.failed - self.in_progress - self.deleted


class Conserved(NamedTuple):
    """Hours and days as they were `at` Postgres's time, and the hours that did not add up when they were looked at last: the latest
    first."""

    at: datetime
    hours: Sequence[Sums]
    days: Sequence[Sums]
    broken: Sequence[BrokenHour]

    @property
    def size(self) -> int:
        """How many recordings were counted, or nearly."""
        return sum(one.accepted for one in self.days)

    def latest(self, hours: int) -> Self:
        """The same with no more than so many hours, the current one included."""
        first = self.at.replace(minute=0, second=0, microsecond=0) - (hours - 1) * HOUR
        return self._replace(hours=[one for one in self.hours if one.since >= first])


_NOW = select(func.now())

# Hour by hour: to compute the hour of each of a million recordings takes twice as long as to count them.
_SUMS = text(
    f"""
    SELECT hour, sum(accepted)::bigint, sum(ready)::bigint, sum(failed)::bigint, sum(in_progress)::bigint,
           sum(deleted)::bigint
    FROM (
        SELECT hour, accepted, 0 AS ready, 0 AS failed, 0 AS in_progress, 0 AS deleted
        FROM accepted_tally WHERE hour >= :since AND hour < :until
        UNION ALL
        SELECT hour, 0, there.* FROM generate_series(
            date_trunc('hour', CAST(:since AS timestamptz), 'UTC'), CAST(:until AS timestamptz), interval '1 hour'
        ) AS hour CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE deleted_at IS NULL AND status = '{Status.READY}'),
                   count(*) FILTER (WHERE deleted_at IS NULL AND status = '{Status.FAILED}'),
                   count(*) FILTER (WHERE deleted_at IS NULL AND status IN ('{Status.UPLOADING}', '{Status.PROCESSING}')),
                   count(*) FILTER (WHERE deleted_at IS NOT NULL)
            FROM recording
            WHERE created_at >= :since AND created_at < :until
              AND created_at >= hour AND created_at < hour + interval '1 hour'
        ) AS there
        UNION ALL
        SELECT hour, 0, 0, 0, 0, purged FROM tally WHERE hour >= :since AND hour < :until
    ) AS known
    GROUP BY hour HAVING sum(accepted + ready + failed + in_progress + deleted) > 0 ORDER BY hour DESC
    """  # noqa: S608  # constants only
)

_OLDEST = text(
    """
    SELECT date_trunc('hour', least(
        (SELECT min(hour) FROM accepted_tally), (SELECT min(created_at) FROM recording), (SELECT min(hour) FROM tally)
    ), 'UTC')
    """
)

# Accepted, gone, and not by a purge: what their jobs still tell. Ids begin with the time that they were made at.
_VANISHED = text(
    f"""
    SELECT recording_id FROM (
        SELECT recording_id, created_at FROM job WHERE recording_id >= :low AND recording_id < :high
        UNION ALL
        SELECT recording_id, created_at FROM job_history WHERE recording_id >= :low AND recording_id < :high
    ) AS owed
    WHERE NOT EXISTS (SELECT FROM recording WHERE recording.id = recording_id)
      AND NOT EXISTS (
          SELECT FROM job_history AS purge WHERE purge.recording_id = owed.recording_id
          AND kind = '{JobKind.PURGE}' AND state = '{JobState.DONE}'
      )
    GROUP BY recording_id HAVING min(created_at) >= :since AND min(created_at) < :until
    ORDER BY recording_id LIMIT :named
    """  # noqa: S608  # constants only
)

# There, but not accepted: nothing was ever owed to them.
_STRANGE = text(
    """
    SELECT id FROM recording
    WHERE created_at >= :since AND created_at < :until
      AND NOT EXISTS (SELECT FROM job WHERE recording_id = recording.id)
      AND NOT EXISTS (SELECT FROM job_history WHERE recording_id = recording.id)
    ORDER BY id LIMIT :named
    """
)

_GATHER = gathering(
    "accepted_tally",
    ("hour", "tenant_id"),
    "accepted",
    "hour < date_trunc('hour', now() - interval '1 minute', 'UTC')",
)


async def conservation(db: Database, *, hours: int, days: int) -> Conserved:
    """The sums of the current hour and of the `hours` - 1 before it, and of as many days; only of those with recordings.

    Raises TooCostly.
    """
    async with bounded(db) as session:
        at = (await session.execute(_NOW)).scalar_one()
        now = at.replace(minute=0, second=0, microsecond=0)
        first_hour = now - (hours - 1) * HOUR
        first_day = now.replace(hour=0) - (days - 1) * DAY
        sums = await _sums(session, min(first_hour, first_day), now + HOUR)
        of_days = [one for one in sums if one.since >= first_day]
        return Conserved(
            at,
            [one for one in sums if one.since >= first_hour],
            [_added(list(of)) for _, of in groupby(of_days, lambda one: one.since.date())],
            await all_broken(session),
        )


async def oldest_hour(db: Database) -> datetime | None:
    """The first hour in which anything was accepted."""
    async with db.reading() as session:
        hour: datetime | None = (await session.execute(_OLDEST)).scalar_one()
        return hour


async def check(db: Database, since: datetime, until: datetime, *, limit_s: float) -> Sequence[BrokenHour]:
    """Look at the hours from `since` to before `until`, note which do not add up and forget those that do again.

    Returns the broken ones that were not known as they are now. May take `limit_s` seconds, then it raises what
    `models.db.is_away` knows.
    """
    async with db.bulk(limit_s) as (session, _):
        broken = {sums.since: sums.missing for sums in await _sums(session, since, until) if sums.missing}
        at_this_time = col(BrokenHour.hour) >= since, col(BrokenHour.hour) < until
        known = {
            one.hour: one
            for one in (await session.execute(select(BrokenHour).where(*at_this_time))).scalars()
        }
        news = []
        for hour, missing in broken.items():
            if hour not in known or known[hour].missing != missing:
                news.append(
                    BrokenHour(hour=hour, missing=missing, recordings=await _name(session, hour, missing))
                )
        if known or news:
            whole = col(BrokenHour.hour).not_in(broken)
            await session.execute(delete(BrokenHour).where(*at_this_time, whole))
        for one in news:
            values = {"missing": one.missing, "recordings": one.recordings}
            await session.execute(
                insert(BrokenHour)
                .values(hour=one.hour, **values)
                .on_conflict_do_update(index_elements=["hour"], set_=values)
            )
        return news


async def broken_hours(db: Database) -> Sequence[BrokenHour]:
    """The hours that did not add up when they were looked at last, the latest first."""
    async with db.reading() as session:
        return await all_broken(session)


async def all_broken(session: AsyncSession) -> Sequence[BrokenHour]:
    """The same, in the caller's session."""
    return (await session.execute(select(BrokenHour).order_by(col(BrokenHour.hour).desc()))).scalars().all()


async def gather(db: Database, *, limit: int) -> int:
    """Gather the tallies of hours that are over: one row for each tenant. Returns how many rows it gathered."""
    return await shards.gather(db, _GATHER, limit=limit)


async def _sums(session: AsyncSession, since: datetime, until: datetime) -> list[Sums]:
    rows = await session.execute(_SUMS, {"since": since, "until": until})
    return [Sums(*row) for row in rows]


def _added(sums: Sequence[Sums]) -> Sums:
    """Those of a day, from those of its hours."""
    counts = (sum(getattr(one, name) for one in sums) for name in COUNTS)
    return Sums(sums[0].since.replace(hour=0), *counts)


async def _name(session: AsyncSession, hour: datetime, missing: int) -> list[UUID]:
    values = {"since": hour, "until": hour + HOUR, "named": NAMED}
    if missing < 0:
        return list((await session.execute(_STRANGE, values)).scalars())
    values |= {"low": first_id(hour - CLOCKS_DIFFER), "high": first_id(hour + HOUR + CLOCKS_DIFFER)}
    return list((await session.execute(_VANISHED, values)).scalars())
