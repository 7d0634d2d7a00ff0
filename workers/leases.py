"""Keeping the leases of the jobs that run in this process.

Renewal has a connection of its own, so that a busy pool cannot starve it. A job whose claim no longer holds is
cancelled; so is one whose lease ends before it could be renewed, by this process's monotonic clock, so that no work
goes on that somebody else may have taken over. Nothing is renewed for ever: a job has its time, and a job that does not
end when it is cancelled, because its thread hangs, takes the process with it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from models import ledger
from models.db import Database
from models.ledger import Claim

RENEWALS_PER_LEASE = 3
MARGIN_SHARE = 0.1

log = structlog.get_logger()


@dataclass
class Lease:
    """A running job: its task, when its lease ends unless it is renewed, and after which time it is renewed no more.

    Times are monotonic, in seconds. `over_since` is when the job was cancelled.
    """

    task: asyncio.Task[Any]
    ends: float
    last: float
    over_since: float | None = None

    @property
    def over(self) -> bool:
        return self.over_since is not None


class Leases:
    """The leases of this process. `run` renews them until it is cancelled.

    A job may hold its lease for `job_timeout_s` and some more to settle. `leave` is called, with the reason, when one
    goes on for longer than a lease after it was cancelled.
    """

    def __init__(
        self,
        db: Database,
        *,
        lease_s: float,
        put_deadline_s: float,
        job_timeout_s: float,
        leave: Callable[[str], None],
    ) -> None:
        self._db = db
        self._lease_s = lease_s
        self._put_deadline_s = put_deadline_s
        self._job_timeout_s = job_timeout_s
        self._leave = leave
        self._held: dict[UUID, Lease] = {}

    @asynccontextmanager
    async def keep(self, claim: Claim, *, claimed_at: float) -> AsyncIterator[Lease]:
        """Renew a claim's lease while the block runs, and cancel the current task when that fails.

        `claimed_at` is the monotonic time just before the claim was made.
        """
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a lease is kept for a task")
        lease = self._held[claim.id] = Lease(
            task, ends=claimed_at + self._lease_s, last=claimed_at + self._job_timeout_s + self._lease_s
        )
        try:
            yield lease
        finally:
            del self._held[claim.id]

    async def run(self) -> None:
        """Renew, again and again."""
        pause_s = self._lease_s / RENEWALS_PER_LEASE
        while True:
            await asyncio.sleep(pause_s)
            if self._held:
                try:
                    async with asyncio.timeout(pause_s):
                        await self._renew()
                except Exception as error:  # whatever it is, the next renewal may be in time
                    reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
                    log.warning("leases_not_renewed", jobs=len(self._held), error=reason)
            self._end_overdue()
            self._leave_if_stuck()

    async def _renew(self) -> None:
        asked, asked_at = (
            {id_: lease for id_, lease in self._held.items() if not lease.over},
            time.monotonic(),
        )
        async with self._db.autocommit() as connection:
            held = await ledger.renew(
                connection, asked.keys(), lease_s=self._lease_s, put_deadline_s=self._put_deadline_s
            )
        for claim_id, lease in asked.items():
            if claim_id in held:
                lease.ends = asked_at + self._lease_s
            elif claim_id in self._held:
                self._end(lease)

    def _end_overdue(self) -> None:
        # The next look comes one pause later: what would end before that must end now.
        now = time.monotonic()
        latest = now + self._lease_s * (1 / RENEWALS_PER_LEASE + MARGIN_SHARE)
        for lease in self._held.values():
            if lease.ends < latest or lease.last < now:
                self._end(lease)

    def _end(self, lease: Lease) -> None:
        if not lease.over:
            lease.over_since = time.monotonic()
            lease.task.cancel()

    def _leave_if_stuck(self) -> None:
        since = min((lease.over_since for lease in self._held.values() if lease.over_since), default=None)
        if since is not None and time.monotonic() - since > self._lease_s:
            self._leave("a job goes on after it was cancelled")
