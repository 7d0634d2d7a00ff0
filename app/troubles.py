"""What can be wrong with a deck, and how that is noticed. Values in, values out.

One thing makes one trouble: what is old because its queue is paused is told as paused.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from app.sight import Sight
from models.breakers import NEEDS, BreakerState
from models.figures import JobFigures
from models.job import JobKind, JobState
from models.overview import Seen
from models.processes import GONE_S, Role, is_gone
from models.queues import Queue

OLD_S = 300.0  # due for so long: too few workers, or none that gets to it; as the alert TapedeckJobsWait
VERY_OLD_S = 900.0  # as the alert TapedeckNotReady
FORGOTTEN_S = 3600.0  # whoever pauses a queue for a deployment or a repair has resumed it by then
FAILED_SHARE = 0.2  # some recordings are broken; not every fifth
FAILED_MIN = 10  # within five minutes: of fewer no share says anything
NEAR_CAP = 0.8  # of what may wait in Postgres: a fifth is left to act in
NAMED = 3

OPS = "/ops"
JOBS, FAILURES, CONSERVATION = (f"{OPS}/{page}" for page in ("jobs", "failures", "conservation"))
PROCESSES, DEPENDENCIES, REDIS = (f"{OPS}#{part}" for part in ("processes", "dependencies", "redis"))


class Severity(IntEnum):
    """How bad it is, the worst first."""

    CRITICAL = 0  # recordings are refused, lost, or not made ready
    WARNING = 1  # they will be, or somebody should look
    NOTICE = 2  # worth knowing


@dataclass(frozen=True)
class Trouble:
    """`what` is wrong and what to `do`, in sentences; `link` is where to see it. `code` is stable."""

    severity: Severity
    code: str
    what: str
    do: str
    link: str


Troubles = Iterator[Trouble]


def counted(count: int, what: str) -> str:
    """`1 job`, `12,000 jobs`."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def span(seconds: float) -> str:
    """`3 s`, `12 min`, `5 h`, `2 days`."""
    for unit, size, most in (("s", 1, 120), ("min", 60, 120), ("h", 3600, 48)):
        if seconds < most * size:
            return f"{max(0.0, seconds) / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} days"


def database(sight: Sight) -> Troubles:
    answer = sight.answers.get("database")
    if sight.seen is None or (answer and answer.state == "away"):
        why = answer.error if answer and answer.error else "it was away a moment ago"
        what = f"Postgres does not answer: {why}. Uploads are refused, and no job is done; nothing is lost."
        yield Trouble(Severity.CRITICAL, "database_away", what, "Start it, or see what its log says.", OPS)


def redis(sight: Sight) -> Troubles:
    if sight.redis is None:
        answer = sight.answers.get("redis")
        why = f": {answer.error.rstrip('.')}" if answer and answer.error else ""
        what = f"Redis does not answer{why}. Jobs wait in Postgres, for workers cannot be rung for; nothing is lost."
        yield Trouble(Severity.CRITICAL, "redis_away", what, "Start it, or see what its log says.", REDIS)
    elif not sight.redis.is_fit:
        what = f"Redis evicts messages when its memory is full: maxmemory-policy is {sight.redis.policy}."
        do = "Set maxmemory-policy noeviction. What is evicted is rung for again, later."
        yield Trouble(Severity.WARNING, "redis_evicts", what, do, REDIS)


def storage(sight: Sight) -> Troubles:
    do = "See whether the bucket or directory is there, and may be used; jobs go on by themselves when it is back."
    is_open = False
    for breaker in sight.seen.breakers if sight.seen else ():
        if breaker.state is BreakerState.OPEN:
            is_open = True
            waits = _wait(sum(_due(sight, kind) for kind in NEEDS[breaker.dependency]))
            since = f" since {_at(breaker.opened_at)}" if breaker.opened_at else ""
            what = f"{breaker.dependency.value.capitalize()} is away{since}: {breaker.probe_error or breaker.reason}. {waits} for it."
            yield Trouble(Severity.CRITICAL, "storage_away", what, do, f"{JOBS}?state=due")
    answer = sight.answers.get("storage")
    if answer and answer.state == "away" and not is_open:
        what = f"Storage does not answer the web process that you asked: {answer.error}."
        yield Trouble(Severity.WARNING, "storage_unreachable", what, do, DEPENDENCIES)


def processes(sight: Sight) -> Troubles:
    """Who is missing."""
    if (seen := sight.seen) is None:
        return
    if not seen.present(Role.DISPATCHER):
        what = "There is no dispatcher: nobody rings for jobs, takes back lost ones, or sweeps."
        yield Trouble(Severity.CRITICAL, "no_dispatcher", what, "Start one.", PROCESSES)
    there = seen.present(Role.WORKER)
    working = [worker for worker in there if worker.draining_at is None]
    waiting = [kind for kind in JobKind if _due(sight, kind)]
    alone = [kind for kind in waiting if not any(kind in worker.kinds for worker in working)]
    if there and not working:
        by = ", ".join(sorted({worker.draining_by or "somebody" for worker in there})[:NAMED])
        what = f"All workers drain, as {by} asked: no job is begun."
        severity = Severity.CRITICAL if waiting else Severity.WARNING
        yield Trouble(severity, "workers_draining", what, "Resume one, or start another.", PROCESSES)
    elif alone:
        what = f"There is no worker that begins {', '.join(alone)}: {_wait(sum(_due(sight, kind) for kind in alone))}."
        yield Trouble(Severity.CRITICAL, "no_worker", what, "Start one that takes them.", PROCESSES)
    if gone := [worker for worker in seen.workers if is_gone(worker, seen.now)]:
        names = ", ".join(worker.name for worker in gone[:NAMED]) + (", …" if len(gone) > NAMED else "")
        what = f"{counted(len(gone), 'worker')} not heard of for {span(GONE_S)} or longer: {names}."
        do = "See why it ended, if nobody stopped it; its jobs go to others."
        yield Trouble(Severity.NOTICE, "worker_gone", what, do, PROCESSES)


def paused(sight: Sight) -> Troubles:
    for queue in sight.seen.queues if sight.seen else ():
        if queue.paused_at and (due := _due(sight, queue.kind)):
            since_s = (sight.seen.now - queue.paused_at).total_seconds() if sight.seen else 0.0
            by = queue.paused_by or "somebody"
            what = f"{by} paused {queue.kind} {span(since_s)} ago ({_at(queue.paused_at)}): {_wait(due)}."
            severity = Severity.WARNING if since_s >= FORGOTTEN_S else Severity.NOTICE
            do = "Resume it, unless there is still a reason."
            yield Trouble(severity, "queue_paused", what, do, f"{OPS}#queue-{queue.kind}")


def waits(sight: Sight) -> Troubles:
    """What is old though nothing else that is told here explains it; and what is old because of a limit."""
    if (
        sight.seen is None
        or sight.counted is None
        or sight.redis is None
        or not sight.seen.present(Role.DISPATCHER)
    ):
        return
    for queue in sight.seen.queues:
        found = _found(sight, queue.kind, JobState.DUE)
        if found is None or found.due_since is None or _is_held_back(sight.seen, queue):
            continue
        if (age_s := (sight.counted.at - found.due_since).total_seconds()) < OLD_S:
            continue
        jobs, link = counted(found.count, "job"), _jobs(queue.kind, JobState.DUE)
        if queue.running_max and sight.seen.running.get(queue.kind, 0) >= queue.running_max:
            what = f"{queue.kind} is at its limit of {queue.running_max} at once: {jobs} due, the oldest for {span(age_s)}."
            yield Trouble(
                Severity.NOTICE, "queue_at_limit", what, "Raise it, if what it spares allows.", link
            )
        else:
            what = f"{queue.kind} is behind: {jobs} due, the oldest for {span(age_s)}."
            severity = Severity.CRITICAL if age_s >= VERY_OLD_S else Severity.WARNING
            do = "Start more workers, or see what those that run are busy with; a tenant may be at its limit."
            yield Trouble(severity, "jobs_wait", what, do, link)


def dead(sight: Sight) -> Troubles:
    for kind in JobKind:
        if (found := _found(sight, kind, JobState.DEAD)) and found.died:
            what = f"{counted(found.died, f'{kind} job')} gave up within the last hour, not because of what was sent."
            do = "See what their attempts failed of; then retry them."
            yield Trouble(Severity.WARNING, "jobs_dead", what, do, _jobs(kind, JobState.DEAD))


def failing(sight: Sight) -> Troubles:
    for queue in sight.rates.queues if sight.rates else ():
        share, failed = queue.last_5_min.failed_share, queue.last_5_min.failed
        if share is not None and share >= FAILED_SHARE and failed >= FAILED_MIN:
            what = (
                f"{share:.0%} of the attempts at {queue.kind} failed within the last 5 minutes: {failed:,}."
            )
            do = "See how they fail."
            yield Trouble(Severity.WARNING, "attempts_fail", what, do, f"{FAILURES}?kind={queue.kind}")


def conserved(sight: Sight) -> Troubles:
    if sight.seen and sight.seen.broken:
        latest, *others = sight.seen.broken
        of = counted(abs(latest.missing), "recording")
        are = "is" if abs(latest.missing) == 1 else "are"
        how = f"of those accepted {of} {are} nowhere" if latest.missing > 0 else f"there {are} {of} too many"
        more = f" So it is with {counted(len(others), 'other hour')}." if others else ""
        what = f"The hour from {_at(latest.hour)} does not add up: {how}.{more}"
        do = "Keep the logs and backups of that time; see which recordings they are."
        yield Trouble(Severity.CRITICAL, "conservation_broken", what, do, CONSERVATION)


def pending(sight: Sight) -> Troubles:
    if (share := sight.pending_bytes / sight.pending_max_bytes) < NEAR_CAP:
        return
    do = "Start more workers, or see what holds jobs back; or raise TAPEDECK_PENDING_MAX_BYTES if the disk allows."
    link = f"{JOBS}?state=due"
    if share >= 1:
        what = f"Uploads are refused with 503: {sight.pending_bytes:,} bytes wait in Postgres, the most that may."
        yield Trouble(Severity.CRITICAL, "uploads_refused", what, do, link)
    else:
        what = f"Uploads will soon be refused with 503: payloads that wait in Postgres take {share:.0%} of what they may."
        yield Trouble(Severity.WARNING, "uploads_soon_refused", what, do, link)


def unknown(sight: Sight) -> Troubles:
    if sight.seen is not None and (sight.counted is None or sight.rates is None):
        what = "What waits, or what ended, could not be counted in time: there may be more that is wrong."
        do = "Ask again soon. If it stays so, see how busy Postgres is."
        yield Trouble(Severity.NOTICE, "not_counted", what, do, OPS)


CHECKS: Sequence[Callable[[Sight], Troubles]] = (
    database,
    conserved,
    pending,
    redis,
    storage,
    processes,
    waits,
    paused,
    dead,
    failing,
    unknown,
)
"""Of troubles that are as bad, in the order in which they are told."""


def _is_held_back(seen: Seen, queue: Queue) -> bool:
    held = {kind for one in seen.breakers if one.state is BreakerState.OPEN for kind in NEEDS[one.dependency]}
    takers = [one for one in seen.workers if queue.kind in one.kinds and not is_gone(one, seen.now)]
    return (
        queue.paused_at is not None
        or queue.kind in held
        or not any(worker.draining_at is None for worker in takers)
    )


def _found(sight: Sight, kind: JobKind, state: JobState) -> JobFigures | None:
    jobs = sight.counted.jobs if sight.counted else ()
    return next((one for one in jobs if (one.kind, one.state) == (kind, state)), None)


def _due(sight: Sight, kind: JobKind) -> int:
    found = _found(sight, kind, JobState.DUE)
    return found.count if found else 0


def _wait(jobs: int) -> str:
    return f"{counted(jobs, 'job')} {'waits' if jobs == 1 else 'wait'}"


def _jobs(kind: JobKind, state: JobState) -> str:
    return f"{JOBS}?kind={kind}&state={state}"


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}Z"
