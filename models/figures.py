"""What the database tells of the whole deck, whoever asks: what waits, what is at work, what is dead, since when.

One look at the live and dead jobs, of which there are few when all is well: a million are counted within a second, so it is
for who asks now and then, not for every request. Nothing here is of a tenant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text
from sqlmodel import col

from models.breakers import Breaker, BreakerState, Dependency
from models.db import Database
from models.job import JobKind, JobState, Priority
from models.processes import GONE_S, Role
from models.recording import FailureCode

RECENTLY_S = 3600
OF_INPUT = frozenset(
    {
        FailureCode.NO_VALID_EVENTS,
        FailureCode.VIDEO_MISSING,
        FailureCode.VIDEO_UNREADABLE,
        FailureCode.VIDEO_TOO_LARGE,
    }
)
"""What a job dies of because of what a client sent, or did not: operators can do nothing about it."""

PROCESSES = ("tapedeck-web", "tapedeck worker", "tapedeck dispatcher")
"""The application names of the connections of the deck's processes."""


@dataclass(frozen=True)
class JobFigures:
    """The jobs of a kind in a state; `scheduled` ones will be due. Times are None without such a job.

    `retrying` of those scheduled were tried before; `died`: of the dead, those that did within
    the last RECENTLY_S seconds, and not because of what a client sent.
    `due_since` is since when the one that is due for longest has been; `unrung_since` the same of those that the dispatcher
    has yet to ring for, again or at all; `awaited_since` since when the oldest is there that a recording waits for, to be
    ready.
    """

    kind: str
    state: str
    count: int
    retrying: int
    died: int
    due_since: datetime | None
    unrung_since: datetime | None
    awaited_since: datetime | None


@dataclass(frozen=True)
class Figures:
    """What a look found, `at` Postgres's time. `unfinished` recordings wait for a job; `sessions` of Postgres by application;
    `processes` that are there, by role; which `breakers` are open; `broken_hours`
    and `missing` as `models.conservation` has noted them."""

    at: datetime
    jobs: Sequence[JobFigures]
    unfinished: int
    sessions: Mapping[str, int]
    processes: Mapping[str, int]
    breakers: Mapping[str, bool]
    broken_hours: int
    missing: int

    @property
    def size(self) -> int:
        """How many jobs were counted."""
        return sum(one.count for one in self.jobs)


_AWAITED = f"""state <> '{JobState.DEAD}' AND (kind IN ('{JobKind.PROCESS}', '{JobKind.VERIFY_VIDEO}')
    OR kind = '{JobKind.RELATE}' AND priority = {Priority.AWAITED:d})"""
"""SQL: whether a recording waits for this job, to be ready."""

# A recording has one job of a kind, and mostly waits for one only: to count the jobs, and those that are not the first of
# their recording, is to count the recordings without sorting the ids of a million.
_AWAITED_TWICE = text(
    f"""
    SELECT count(*) FROM (
        SELECT recording_id, kind FROM job WHERE kind IN ('{JobKind.VERIFY_VIDEO}', '{JobKind.RELATE}') AND {_AWAITED}
    ) AS another
    WHERE EXISTS (SELECT FROM job WHERE {_AWAITED} AND recording_id = another.recording_id AND kind < another.kind)
    """  # noqa: S608  # constants only
)

_JOBS = text(
    f"""
    SELECT kind, CASE WHEN state = '{JobState.DUE}' AND due_at > now() THEN 'scheduled' ELSE state END AS now_state,
           count(*),
           count(*) FILTER (WHERE state = '{JobState.DUE}' AND due_at > now() AND attempts + losses + outages > 0),
           count(*) FILTER (WHERE state = '{JobState.DEAD}' AND finished_at > now() - interval '{RECENTLY_S} seconds'
               AND coalesce(error_code, '') NOT IN ({", ".join(f"'{code}'" for code in sorted(OF_INPUT))})),
           min(due_at) FILTER (WHERE state = '{JobState.DUE}' AND due_at <= now()),
           min(greatest(due_at, ring_at)) FILTER (
               WHERE state = '{JobState.DUE}' AND due_at <= now() AND (ring_at IS NULL OR ring_at <= now())),
           min(created_at) FILTER (WHERE {_AWAITED}),
           count(*) FILTER (WHERE {_AWAITED}) AS awaited
    FROM job GROUP BY 1, 2
    """  # noqa: S608  # constants only
)

# All of a table is read four times as fast from its begin to its end as by an index (`Database` prefers these).
_READ_WHOLE = text("SELECT set_config('enable_seqscan', 'on', true)")

_NOW = text("SELECT clock_timestamp()")

_SESSIONS = text(
    """
    SELECT application_name, count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = ANY(:names) GROUP BY 1
    """
)

_PROCESSES = text(
    "SELECT role, count(*) FROM process WHERE heartbeat_at > now() - make_interval(secs => :gone_s) GROUP BY 1"
)

_BREAKERS = select(col(Breaker.dependency), col(Breaker.state))

_BROKEN = text("SELECT count(*), coalesce(sum(abs(missing)), 0)::bigint FROM broken_hour")


async def figures(db: Database) -> Figures:
    """Look: all of one moment."""
    async with db.snapshot() as session:
        at = (await session.execute(_NOW)).scalar_one()
        sessions = dict.fromkeys(PROCESSES, 0)
        for name, count in await session.execute(_SESSIONS, {"names": list(PROCESSES)}):
            sessions[name] = count
        present = dict.fromkeys((role.value for role in Role), 0)
        for role, count in await session.execute(_PROCESSES, {"gone_s": GONE_S}):
            present[role] = count
        states = dict.fromkeys(Dependency, False)
        for dependency, state in await session.execute(_BREAKERS):
            states[dependency] = state == BreakerState.OPEN
        broken, missing = (await session.execute(_BROKEN)).one()
        twice = (await session.execute(_AWAITED_TWICE)).scalar_one()
        await session.execute(_READ_WHOLE)
        rows = (await session.execute(_JOBS)).all()
    jobs = [JobFigures(*row[:-1]) for row in rows]
    unfinished = sum(row.awaited for row in rows) - twice
    open_ones = {one.value: is_open for one, is_open in states.items()}
    return Figures(at, jobs, unfinished, sessions, present, open_ones, broken, missing)
