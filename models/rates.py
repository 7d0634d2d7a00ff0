"""How fast the queues go: attempts that ended, minute by minute; how many of them failed; how long jobs waited and ran.

Numbers come from the tally (`models.attempt_tally`), so they are exact, whatever the diary has forgotten since. Waits and runs
are those of attempts that are still in the diary: not those of purges that are done.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from models.attempt import Outcome
from models.db import Database
from models.job import JobKind
from models.lives import bounded

MINUTE = timedelta(minutes=1)
MINUTES = 60
FEW_MINUTES = 5
LOOKED_AT_MAX = 200_000  # attempts whose waits and runs are sorted within a second

DONE = frozenset({Outcome.DONE, Outcome.CONTINUED})
FAILED = frozenset({Outcome.BAD_INPUT, Outcome.FAULT, Outcome.LOSS})
"""Outcomes that tell how the work goes. The others do not: what was needed was away, or somebody stopped it."""

Minutes: TypeAlias = Mapping[Outcome, Sequence[int]]
"""How many attempts ended with this outcome, minute by minute."""


@dataclass(frozen=True)
class Percentiles:
    """Milliseconds."""

    p50: float
    p95: float


@dataclass(frozen=True)
class Window:
    """What ended within the latest `minutes`, the one that goes on included: from `since` on. `wait_ms`: from when a job was due to
    its claim; `run_ms`: from the claim to the attempt's end; None without any, or when more ended than LOOKED_AT_MAX."""

    since: datetime
    minutes: float
    ended: int
    done: int
    failed: int
    wait_ms: Percentiles | None
    run_ms: Percentiles | None

    @property
    def failed_share(self) -> float | None:
        """Of the attempts that were done or failed; None without any."""
        told = self.done + self.failed
        return self.failed / told if told else None


@dataclass(frozen=True)
class QueueRates:
    """How fast jobs of a kind go."""

    kind: JobKind
    minutes: Minutes
    last_5_min: Window
    last_hour: Window


@dataclass(frozen=True)
class Rates:
    """What a look found, `at` Postgres's time; the first of the MINUTES begins at `since`, the last one goes on."""

    at: datetime
    since: datetime
    queues: Sequence[QueueRates]

    @property
    def ended(self) -> int:
        """Attempts that ended, of all kinds."""
        return sum(queue.last_hour.ended for queue in self.queues)


_Waits: TypeAlias = Mapping[str, tuple[Percentiles | None, Percentiles | None]]

_NOW = text("SELECT clock_timestamp()")

_MINUTES = text(
    "SELECT kind, outcome, minute, sum(attempts)::bigint FROM attempt_tally WHERE minute >= :since GROUP BY 1, 2, 3"
)

_PERCENTILES = text(
    """
    SELECT kind,
           percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY greatest(0, waited)) FILTER (WHERE waited IS NOT NULL),
           percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY ran)
    FROM (
        SELECT kind, (extract(epoch FROM started_at - due_at) * 1000)::float AS waited,
               (extract(epoch FROM ended_at - started_at) * 1000)::float AS ran
        FROM attempt WHERE ended_at >= :since
    ) AS ended
    GROUP BY kind
    """
)


async def rates(db: Database) -> Rates:
    """Look. Raises TooCostly."""
    async with bounded(db) as session:
        at = (await session.execute(_NOW)).scalar_one()
        since = at.replace(second=0, microsecond=0) - (MINUTES - 1) * MINUTE
        minutes = await _minutes(session, since)
        few, hour = [await _waits(session, at, minutes, length) for length in (FEW_MINUTES, MINUTES)]
    queues = [
        QueueRates(
            kind,
            minutes[kind],
            _window(at, minutes[kind], FEW_MINUTES, few.get(kind)),
            _window(at, minutes[kind], MINUTES, hour.get(kind)),
        )
        for kind in JobKind
    ]
    return Rates(at, since, queues)


def summed(minutes: Minutes, outcomes: Collection[Outcome]) -> list[int]:
    """How many attempts ended with any of these outcomes, minute by minute."""
    return [
        sum(of)
        for of in zip([0] * MINUTES, *(minutes[one] for one in outcomes if one in minutes), strict=True)
    ]


async def _minutes(session: AsyncSession, since: datetime) -> Mapping[JobKind, Minutes]:
    found: dict[JobKind, dict[Outcome, list[int]]] = {kind: {} for kind in JobKind}
    for kind, outcome, minute, count in await session.execute(_MINUTES, {"since": since}):
        if (place := (minute - since) // MINUTE) < MINUTES:  # the next one may have begun
            found[JobKind(kind)].setdefault(Outcome(outcome), [0] * MINUTES)[place] = count
    return found


async def _waits(
    session: AsyncSession, at: datetime, minutes: Mapping[JobKind, Minutes], length: int
) -> _Waits:
    if sum(_window(at, of, length).ended for of in minutes.values()) > LOOKED_AT_MAX:
        return {}
    rows = await session.execute(_PERCENTILES, {"since": _begin(at, length)})
    return {kind: (waits and Percentiles(*waits), Percentiles(*runs)) for kind, waits, runs in rows}


def _window(
    at: datetime,
    minutes: Minutes,
    length: int,
    waits: tuple[Percentiles | None, Percentiles | None] | None = None,
) -> Window:
    since = _begin(at, length)
    ended, done, failed = [sum(summed(minutes, of)[-length:]) for of in (minutes.keys(), DONE, FAILED)]
    return Window(since, (at - since) / MINUTE, ended, done, failed, *(waits or (None, None)))


def _begin(at: datetime, length: int) -> datetime:
    return at.replace(second=0, microsecond=0) - (length - 1) * MINUTE
