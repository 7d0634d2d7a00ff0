"""What operators do, whether by API or from a page. Each is logged with who did it, in the transaction that does it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import Caller
from app.errors import ApiError, Code, invalid
from app.ops import affordable, no_job
from app.services import Services
from models import acting, action, answers, filters, processes, queues
from models.action import Action, Verb
from models.filters import JobFilter, Preview
from models.job import JobKind
from models.processes import Role
from models.queues import Limits


async def act(services: Services, caller: Caller, job_id: UUID, verb: Verb) -> None:
    """Do something to one job. Raises ApiError: there is none, or nothing to do about it."""
    async with services.db.transaction() as session:
        changed = await acting.apply(session, verb, job_id, JobFilter(), video_wait_s=services.video.wait_s)
        if changed:
            by = await action.who(session, caller.user_id, caller.api_key_id)
            action.audit(session, by, verb.value, f"job {job_id}", 1)
    if not changed:
        if (facts := await answers.facts(services.db, job_id)) is None:
            raise no_job()
        detail = f"There is nothing to {verb.value} about this job. {answers.why_not_running(facts)}"
        raise ApiError(Code.NOT_APPLICABLE, detail)
    services.doorbell.ring()


async def preview(services: Services, verb: Verb, jobs: JobFilter) -> Preview:
    """What an action would be about. Raises ApiError: of all jobs, or of those that are over, there is none."""
    if jobs == JobFilter():
        raise invalid("filter", "must have at least one condition")
    if jobs.state in filters.OVER:
        raise invalid("filter.state", "must be a state of jobs that are not over")
    async with affordable():
        return await filters.preview(services.db, jobs, acting.applicable(verb))


async def request(services: Services, caller: Caller, verb: Verb, jobs: JobFilter, *, matched: int) -> Action:
    """Begin an action on all jobs that match."""
    async with _doing(services, caller) as (session, by):
        return await action.request(session, by, verb, jobs, matched=matched)


async def stop(services: Services, caller: Caller, action_id: UUID) -> Action | None:
    """Do no more of an action; None when there is none."""
    async with _doing(services, caller) as (session, by):
        return await action.stop(session, action_id, by)


async def switch(services: Services, caller: Caller, name: str, *, paused: bool) -> bool:
    """Pause a queue, or go on with it. False when it was so already. Raises ApiError."""
    kind = kind_of(name)
    async with _doing(services, caller) as (session, by):
        changed = await (queues.pause(session, kind, by) if paused else queues.resume(session, kind))
        if changed:
            action.audit(session, by, "pause" if paused else "resume", f"queue {kind.value}")
    services.doorbell.ring()
    return changed


async def limit(services: Services, caller: Caller, kind: JobKind, limits: Limits) -> bool:
    """Say how many jobs of a kind may run at once. False when it was so already."""
    async with _doing(services, caller) as (session, by):
        if changed := await queues.limit(session, kind, **limits):
            action.audit(session, by, "limit", f"queue {kind.value}", **limits)
    services.doorbell.ring()
    return changed


async def drain(services: Services, caller: Caller, worker_id: UUID, *, drains: bool) -> bool:
    """Have a worker process begin no more jobs, or again. False when it was told before. Raises ApiError."""
    async with _doing(services, caller) as (session, by):
        if worker_id not in {one.id for one in await processes.all_of(session, Role.WORKER)}:
            raise ApiError(Code.NOT_FOUND, "There is no such worker.")
        asked = processes.drain(session, worker_id, by) if drains else processes.resume(session, worker_id)
        if changed := await asked:
            action.audit(session, by, "drain" if drains else "resume", f"worker {worker_id}")
    return changed


async def refill(services: Services, caller: Caller) -> int:
    """Ring again at once for everything that was rung for and not begun. Returns how many that is."""
    async with _doing(services, caller) as (session, by):
        count = await acting.refill(session)
        action.audit(session, by, "refill", "Redis", count)
    services.doorbell.ring()
    return count


def kind_of(name: str) -> JobKind:
    """The queue of this name. Raises ApiError."""
    if name not in set(JobKind):
        raise ApiError(Code.NOT_FOUND, "There is no such queue.")
    return JobKind(name)


@asynccontextmanager
async def _doing(services: Services, caller: Caller) -> AsyncIterator[tuple[AsyncSession, str]]:
    """A transaction, and who it is that does what is done in it, for the log."""
    async with services.db.transaction() as session:
        yield session, await action.who(session, caller.user_id, caller.api_key_id)
