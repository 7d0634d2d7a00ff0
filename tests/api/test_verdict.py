"""The verdict: whatever is wrong, it is told, with what to do; and when nothing is, all is well."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.health import Answer
from app.redis_state import RedisState
from app.sight import Sight
from app.troubles import FAILED_MIN, FORGOTTEN_S, NEAR_CAP, OLD_S, VERY_OLD_S, Severity
from app.verdict import verdict
from models.breakers import Breaker, BreakerState, Dependency
from models.conservation import BrokenHour
from models.figures import Figures, JobFigures
from models.filters import Wanted
from models.ids import new_id
from models.job import JobKind
from models.overview import Seen
from models.processes import GONE_S, Process, Role
from models.queues import Queue
from models.rates import MINUTES, QueueRates, Rates, Window
from models.windows import Windows

NOW = datetime(2026, 5, 4, 10, tzinfo=UTC)
MAX_BYTES = 1000


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def worker(name: str = "w:1", role: Role = Role.WORKER, **changes: Any) -> Process:
    kinds = [kind.value for kind in JobKind]
    known = {"host": "h", "pid": 1, "version": "1", "kinds": kinds, "threads": 8, "heartbeat_at": NOW}
    return Process(id=new_id(), role=role, name=name, started_at=ago(9), **known | changes)


def jobs(kind: JobKind, state: str, count: int, **known: Any) -> JobFigures:
    figures: dict[str, Any] = {
        "retrying": 0,
        "died": 0,
        "due_since": None,
        "unrung_since": None,
        "awaited_since": None,
    }
    return JobFigures(kind.value, state, count, **figures | known)


def window(done: int = 0, failed: int = 0) -> Window:
    return Window(ago(300), 5, done + failed, done, failed, None, None)


def rates(*queues: QueueRates) -> Rates:
    return Rates(NOW, ago(3600), queues)


def failing(kind: JobKind, done: int, failed: int) -> QueueRates:
    return QueueRates(kind, {}, window(done, failed), window(done, failed))


DISPATCHER = worker("d:1", Role.DISPATCHER)
WELL = Sight(
    answers={name: Answer("ok", 1.0) for name in ("database", "redis", "storage")},
    seen=Seen(
        NOW,
        [Queue(kind=kind) for kind in JobKind],
        [Breaker(dependency=each, state=BreakerState.CLOSED) for each in Dependency],
        [worker(), DISPATCHER],
        {},
        {},
        [],
    ),
    counted=Figures(NOW, [], 0, {}, {}, {}, 0, 0),
    rates=rates(),
    redis=RedisState("noeviction", 1, None, Windows(64, {})),
    pending_bytes=0,
    pending_max_bytes=MAX_BYTES,
)


def seen(sight: Sight, **changes: Any) -> Sight:
    return replace(sight, seen=sight.seen and sight.seen._replace(**changes))


def due(sight: Sight, kind: JobKind = JobKind.PROCESS, count: int = 12, age_s: float = 1) -> Sight:
    """Jobs of a kind are due as well."""
    assert sight.counted
    known = [one for one in sight.counted.jobs if (one.kind, one.state) != (kind, "due")]
    more = jobs(kind, "due", count, due_since=ago(age_s), awaited_since=ago(age_s))
    return replace(sight, counted=replace(sight.counted, jobs=[*known, more], unfinished=count))


def counted(sight: Sight, one: JobFigures) -> Sight:
    assert sight.counted
    return replace(sight, counted=replace(sight.counted, jobs=[*sight.counted.jobs, one]))


def queue(sight: Sight, kind: JobKind, **changes: Any) -> Sight:
    assert sight.seen
    return seen(
        sight,
        queues=[Queue(kind=one.kind, **changes) if one.kind is kind else one for one in sight.seen.queues],
    )


def answer(sight: Sight, name: str, error: str) -> Sight:
    return replace(sight, answers={**sight.answers, name: Answer("away", error=error)})


def opened(sight: Sight) -> Sight:
    breaker = Breaker(dependency=Dependency.STORAGE, state=BreakerState.OPEN, reason="slow", opened_at=ago(9))
    return seen(sight, breakers=[breaker])


def workers(sight: Sight, *workers: Process) -> Sight:
    """These are its workers."""
    return seen(sight, processes=[*workers, DISPATCHER])


def more_workers(sight: Sight, *more: Process) -> Sight:
    assert sight.seen
    return workers(sight, *sight.seen.workers, *more)


@dataclass(frozen=True)
class Wrong:
    """A way in which something is wrong, and how it is told."""

    make: Callable[[Sight], Sight]
    severity: Severity
    link: str
    says: str = ""


C, W, N = Severity
PROCESS, DUE = JobKind.PROCESS, "/ops/jobs?kind=process&state=due"
WRONGS: Mapping[str, Wrong] = {
    "database_away": Wrong(lambda s: answer(s, "database", "OSError: no"), C, "/ops", "OSError: no"),
    "redis_away": Wrong(
        lambda s: replace(answer(s, "redis", "no way"), redis=None), C, "/ops#redis", "no way"
    ),
    "redis_evicts": Wrong(
        lambda s: replace(s, redis=RedisState("allkeys-lru", 1, 2, Windows(64, {}))),
        W,
        "/ops#redis",
        "allkeys-lru",
    ),
    "storage_away": Wrong(opened, C, "/ops/jobs?state=due", "Storage is away since 2026-05-04 09:59Z: slow."),
    "storage_unreachable": Wrong(lambda s: answer(s, "storage", "a 403"), W, "/ops#dependencies", "a 403"),
    "no_worker": Wrong(lambda s: workers(due(s)), C, "/ops#processes", "process"),
    "no_dispatcher": Wrong(lambda s: seen(s, processes=[worker()]), C, "/ops#processes"),
    "queue_paused": Wrong(
        lambda s: queue(due(s), PROCESS, paused_at=ago(FORGOTTEN_S), paused_by="kim@example.com"),
        W,
        "/ops#queue-process",
        "kim@example.com paused process 60 min ago (2026-05-04 09:00Z): 12 jobs wait.",
    ),
    "workers_draining": Wrong(
        lambda s: workers(due(s), worker(draining_at=ago(3), draining_by="kim")),
        C,
        "/ops#processes",
        "kim",
    ),
    "jobs_wait": Wrong(
        lambda s: due(s, age_s=OLD_S), W, DUE, "process is behind: 12 jobs due, the oldest for 5 min."
    ),
    "queue_at_limit": Wrong(
        lambda s: seen(queue(due(s, age_s=OLD_S), PROCESS, running_max=2), running={PROCESS: 2}),
        N,
        DUE,
        "of 2 at once",
    ),
    "jobs_dead": Wrong(
        lambda s: counted(s, jobs(PROCESS, "dead", 3, died=2)),
        W,
        "/ops/jobs?kind=process&state=dead",
        "2 process jobs",
    ),
    "attempts_fail": Wrong(
        lambda s: replace(s, rates=rates(failing(PROCESS, 10, FAILED_MIN))),
        W,
        "/ops/failures?kind=process",
        "50%",
    ),
    "conservation_broken": Wrong(
        lambda s: seen(s, broken=[BrokenHour(hour=ago(7200), missing=2, recordings=[])]),
        C,
        "/ops/conservation",
        "The hour from 2026-05-04 08:00Z does not add up: of those accepted 2 recordings are nowhere.",
    ),
    "uploads_refused": Wrong(lambda s: replace(s, pending_bytes=MAX_BYTES), C, "/ops/jobs?state=due", "503"),
    "uploads_soon_refused": Wrong(
        lambda s: replace(s, pending_bytes=int(MAX_BYTES * NEAR_CAP)), W, "/ops/jobs?state=due", "80%"
    ),
    "worker_gone": Wrong(
        lambda s: more_workers(s, worker("w:2", heartbeat_at=ago(GONE_S + 1))), N, "/ops#processes", "w:2"
    ),
    "not_counted": Wrong(lambda s: replace(s, rates=None), N, "/ops"),
}


def test_all_is_well_in_a_line() -> None:
    assert verdict(WELL).summary == "All is well: no recording is in progress."
    found = verdict(due(WELL, age_s=3))
    assert (found.is_well, found.troubles) == (True, [])
    assert found.summary == "All is well: 12 recordings in progress, the oldest for 3 s."
    assert verdict(due(WELL, count=1, age_s=3)).summary.endswith(
        "1 recording in progress, the oldest for 3 s."
    )


@pytest.mark.parametrize("code", WRONGS)
def test_what_is_wrong_is_told_with_what_to_do(code: str) -> None:
    wrong = WRONGS[code]
    found = verdict(wrong.make(WELL))
    (trouble,) = found.troubles
    assert (trouble.code, trouble.severity, trouble.link) == (code, wrong.severity, wrong.link)
    assert wrong.says in trouble.what
    assert found.summary == trouble.what
    assert trouble.what.endswith(".")
    assert trouble.do.endswith(".")


@given(st.sets(st.sampled_from(sorted(WRONGS)), min_size=1), st.randoms())
def test_with_any_trouble_not_all_is_well(codes: set[str], random: Any) -> None:
    order = sorted(codes)
    random.shuffle(order)
    sight = WELL
    for code in order:
        sight = WRONGS[code].make(sight)
    found = verdict(sight)
    assert not found.is_well
    assert not found.summary.startswith("All is well")
    assert [one.severity for one in found.troubles] == sorted(one.severity for one in found.troubles)
    assert {one.code for one in found.troubles} <= set(WRONGS)
    for one in found.troubles:
        link = urlsplit(one.link)
        assert link.path.startswith("/ops")
        assert not link.scheme
        assert not link.netloc
        query = parse_qs(link.query)
        assert set(query) <= {"kind", "state"}
        assert all(JobKind(kind) for kind in query.get("kind", []))
        assert all(Wanted(state) for state in query.get("state", []))


@given(
    workers=st.lists(
        st.tuples(st.sets(st.sampled_from(list(JobKind))), st.booleans(), st.sampled_from([0, GONE_S + 1])),
        max_size=4,
    ),
    is_paused=st.booleans(),
    limit=st.sampled_from([None, 0, 2]),
    running=st.integers(0, 3),
    is_open=st.booleans(),
    is_redis_away=st.booleans(),
    has_dispatcher=st.booleans(),
)
def test_while_a_job_waits_for_long_never_all_is_well(
    workers: list[tuple[set[JobKind], bool, float]],
    is_paused: bool,
    limit: int | None,
    running: int,
    is_open: bool,
    is_redis_away: bool,
    has_dispatcher: bool,
) -> None:
    sight = due(queue(WELL, PROCESS, paused_at=ago(9) if is_paused else None, running_max=limit), age_s=OLD_S)
    there = [
        worker(
            kinds=[kind.value for kind in kinds],
            draining_at=ago(9) if drains else None,
            heartbeat_at=ago(silent_s),
        )
        for kinds, drains, silent_s in workers
    ]
    there += [DISPATCHER] if has_dispatcher else []
    sight = seen(sight, processes=there, running={PROCESS: running})
    sight = opened(sight) if is_open else sight
    redis = None if is_redis_away else WELL.redis
    assert not verdict(replace(sight, redis=redis)).is_well


def test_while_postgres_is_away_what_it_tells_is_not_missed() -> None:
    gone = replace(answer(WELL, "database", "no"), seen=None, counted=None, rates=None)
    assert [one.code for one in verdict(gone).troubles] == ["database_away"]
    assert [one.code for one in verdict(replace(gone, answers={})).troubles] == ["database_away"]


def test_what_is_held_back_is_not_told_as_late_too() -> None:
    late = due(WELL, age_s=VERY_OLD_S)
    assert [(one.code, one.severity) for one in verdict(late).troubles] == [("jobs_wait", C)]
    for code in (
        "queue_paused",
        "storage_away",
        "no_worker",
        "workers_draining",
        "redis_away",
        "no_dispatcher",
    ):
        told = [one.code for one in verdict(due(WRONGS[code].make(WELL), age_s=VERY_OLD_S)).troubles]
        assert told == [code]


def test_a_pause_is_a_notice_until_it_looks_forgotten_and_nothing_without_jobs() -> None:
    fresh = queue(WELL, PROCESS, paused_at=ago(9), paused_by="kim")
    assert verdict(fresh).is_well
    assert [one.severity for one in verdict(due(fresh)).troubles] == [N]


def test_who_drains_with_nothing_to_do_is_a_warning() -> None:
    draining = workers(WELL, worker(draining_at=ago(3)))
    assert [one.severity for one in verdict(draining).troubles] == [W]
    assert verdict(workers(WELL)).is_well  # nobody waits


def test_too_many_recordings_are_told_as_such() -> None:
    hours = [BrokenHour(hour=ago(3600 * n), missing=-1, recordings=[]) for n in (1, 2, 3)]
    (trouble,) = verdict(seen(WELL, broken=hours)).troubles
    assert trouble.what == (
        "The hour from 2026-05-04 09:00Z does not add up: there is 1 recording too many. So it is with 2 other hours."
    )


def test_few_failures_say_nothing() -> None:
    assert verdict(replace(WELL, rates=rates(failing(PROCESS, 0, FAILED_MIN - 1)))).is_well
    assert verdict(replace(WELL, rates=rates(failing(PROCESS, MINUTES * 10, FAILED_MIN)))).is_well
