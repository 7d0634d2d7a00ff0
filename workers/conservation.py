"""The check that every accepted recording is somewhere (`models.conservation`), as one of the dispatcher's steps.

Each pass looks at the latest hours and at one slice of those before, from the newest to the first one and then from the newest
again, so that all are looked at now and then. A slice that takes too long is halved. What a pass costs bounds how often there
is one: at most a `SHARE`th of Postgres's time, as long as that is not less often than every LONGEST_PAUSE_S.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from models import conservation
from models.conservation import HOUR, BrokenHour
from models.db import Database, is_away

RECENT = 3 * HOUR
FIRST_SLICE = timedelta(days=1)
LONGEST_SLICE = timedelta(days=7)
LIMIT_S = 20  # of one look
SHARE = 20
LONGEST_PAUSE_S = (
    900  # a pass that was slow because Postgres stood still says nothing of what the next one costs
)
BATCH = 1000

log = structlog.get_logger()


class Conservation:
    """Where one dispatcher is on its way through the hours. `checked` hears that the latest hours were looked at."""

    def __init__(self, db: Database, checked: Callable[[], None]) -> None:
        self._db = db
        self._checked = checked
        self._until: datetime | None = None  # hours from here on were looked at on this way
        self._slice = FIRST_SLICE
        self._not_before = 0.0

    async def check(self) -> None:
        """One pass, or none when the one before took long. Logs each hour that does not add up when it is noticed."""
        began = time.monotonic()
        if began < self._not_before:
            return
        try:
            while await conservation.gather(self._db, limit=BATCH) == BATCH:
                pass
            recent = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - RECENT
            await self._look(recent, recent + 2 * RECENT)  # clocks may differ
            self._checked()
            await self._look_back(recent)
        finally:
            now = time.monotonic()
            self._not_before = now + min(LONGEST_PAUSE_S, SHARE * (now - began))

    async def _look_back(self, recent: datetime) -> None:
        oldest = await conservation.oldest_hour(self._db)
        if oldest is None:
            return
        until = self._until if self._until and self._until > oldest else recent
        since = until - self._slice
        try:
            await self._look(since, until)
        except Exception as error:
            if is_away(error):
                self._slice = max(HOUR, self._slice // 2 // HOUR * HOUR)
            raise
        self._until = since
        self._slice = min(LONGEST_SLICE, self._slice * 2)

    async def _look(self, since: datetime, until: datetime) -> None:
        for broken in await conservation.check(self._db, since, until, limit_s=LIMIT_S):
            _tell(broken)


def _tell(broken: BrokenHour) -> None:
    log.error(
        "conservation_broken",
        hour=broken.hour.isoformat(),
        missing=broken.missing,
        recordings=[str(id_) for id_ in broken.recordings],
    )
