"""What the operators' API answers with."""

from typing import Any, Literal
from uuid import UUID

import msgspec

from app.documents import Timestamp
from app.ops_state_documents import BreakerDocument, DependencyDocument, RedisDocument, VerdictDocument


class QueueDocument(msgspec.Struct):
    """A queue: jobs that are due, wait for their time (`scheduled`; those of them that were tried before are `retrying`), run, and died; who has paused it. All but those that run,
    and for how long the first has been due, is of the time when jobs were counted."""

    kind: str
    due: int
    scheduled: int
    running: int
    dead: int
    oldest_due_at: Timestamp | None
    oldest_due_s: float | None
    paused_at: Timestamp | None
    paused_by: str | None
    running_max: int | None
    tenant_running_max: int | None
    retrying: int


class Overview(msgspec.Struct):
    """The deck at a glance, as it is `at`; its jobs were counted at `counted_at`: just now, or some seconds ago if they are many. `redis_state` is null while Redis is away."""

    at: Timestamp
    counted_at: Timestamp
    queues: list[QueueDocument]
    breakers: list[BreakerDocument]
    workers: int
    dispatchers: int
    redis: Literal["there", "away"]
    verdict: VerdictDocument
    dependencies: list[DependencyDocument]
    redis_state: RedisDocument | None


class JobDocument(msgspec.Struct):
    """A job. `state`: one that is due is `scheduled` while its time has not come."""

    id: UUID
    kind: str
    state: str
    tenant_id: UUID
    recording_id: UUID
    claims: int
    attempts: int
    losses: int
    outages: int
    worker: str | None
    lease_until: Timestamp | None
    due_at: Timestamp
    error_code: str | None
    created_at: Timestamp
    finished_at: Timestamp | None


class JobList(msgspec.Struct):
    """A page of jobs, the newest first."""

    jobs: list[JobDocument]
    next_cursor: UUID | None


class AttemptDocument(msgspec.Struct):
    """An attempt; `outcome` and `ended_at` are null while it goes on."""

    number: int
    worker: str | None
    started_at: Timestamp
    ended_at: Timestamp | None
    duration_ms: int | None
    outcome: str | None
    error_code: str | None
    error: str | None
    traceback: str | None
    place: str | None
    fingerprint: str | None


class JobDetail(msgspec.Struct):
    """A job, why it is not running, and its newest attempts, the newest first."""

    job: JobDocument
    why: str
    error: str | None
    attempts: list[AttemptDocument]


class MomentDocument(msgspec.Struct):
    """Something in a recording's life: a `status` that it got, a `job`, an `attempt`, an `object`."""

    at: Timestamp
    to: Timestamp | None
    duration_ms: int | None
    what: str
    id: str
    name: str
    state: str
    detail: str | None


class LifeDocument(msgspec.Struct):
    """A recording's life in its order; `more`: the rest is left out."""

    id: UUID
    tenant_id: UUID
    status: str
    deleted_at: Timestamp | None
    moments: list[MomentDocument]
    more: bool


class FailureGroup(msgspec.Struct):
    """Attempts that failed alike, with the newest of them."""

    fingerprint: str
    kind: str
    error_code: str | None
    place: str | None
    attempts: int
    jobs: int
    recordings: int
    tenants: int
    first_at: Timestamp
    last_at: Timestamp
    sample: str | None
    traceback: str | None
    sample_job: UUID


class FailureGroups(msgspec.Struct):
    """Ways of failing, the most frequent first."""

    failures: list[FailureGroup]


class ActionDocument(msgspec.Struct):
    """An action: `done` of those that `matched` when it was asked for; `skipped` did not match any more, or could not.
    `reason`: why it ended so; of one that goes on, what it waits for."""

    id: UUID
    who: str
    verb: str
    filter: dict[str, Any]
    state: str
    reason: str | None
    matched: int
    done: int
    skipped: int
    created_at: Timestamp
    finished_at: Timestamp | None


class ActionList(msgspec.Struct):
    """A page of actions, the newest first."""

    actions: list[ActionDocument]
    next_cursor: UUID | None


class ActionPreview(msgspec.Struct):
    """What an action would be about now. `at_least`: there are more than were counted."""

    dry_run: Literal[True]
    matched: int
    at_least: bool
    sample: list[UUID]
    oldest_at: Timestamp | None


class AuditDocument(msgspec.Struct):
    """Something that an operator did."""

    id: UUID
    at: Timestamp
    who: str
    what: str
    subject: str
    count: int | None
    details: dict[str, Any]


class AuditList(msgspec.Struct):
    """A page of the audit log, the newest first."""

    entries: list[AuditDocument]
    next_cursor: UUID | None


class WorkerDocument(msgspec.Struct):
    """A worker process; `gone`: it has not been heard of for a while."""

    id: UUID
    name: str
    version: str
    kinds: list[str]
    threads: int
    running: int
    state: Literal["working", "draining", "gone"]
    started_at: Timestamp
    heartbeat_at: Timestamp
    draining_by: str | None


class WorkerList(msgspec.Struct):
    """The worker processes, the oldest first."""

    workers: list[WorkerDocument]


class HourDocument(msgspec.Struct):
    """The recordings that were accepted in an hour, and where they are; `missing` is 0 when that adds up."""

    hour: Timestamp
    accepted: int
    ready: int
    failed: int
    in_progress: int
    deleted: int
    missing: int


class DayDocument(msgspec.Struct):
    """The same of a UTC day."""

    day: str
    accepted: int
    ready: int
    failed: int
    in_progress: int
    deleted: int
    missing: int


class BrokenHourDocument(msgspec.Struct):
    """An hour that did not add up when it was looked at last, and some of the recordings that are nowhere."""

    hour: Timestamp
    missing: int
    recordings: list[UUID]
    noticed_at: Timestamp


class Conservation(msgspec.Struct):
    """Hours and days in which something was accepted, the latest first; and all hours that do not add up."""

    hours: list[HourDocument]
    days: list[DayDocument]
    broken: list[BrokenHourDocument]


class Changed(msgspec.Struct):
    """Whether it changed anything: false when it was so already. `count`: how many."""

    changed: bool
    count: int


class ProcessDocument(msgspec.Struct):
    """A process of the deck; `running`: jobs, of a worker; `gone`: it has not been heard of for a while."""

    id: UUID
    role: Literal["web", "worker", "dispatcher"]
    name: str
    host: str
    pid: int
    version: str
    kinds: list[str]
    threads: int
    running: int
    state: Literal["working", "draining", "gone"]
    started_at: Timestamp
    heartbeat_at: Timestamp
    draining_by: str | None


class ProcessList(msgspec.Struct):
    """The processes of the deck, the oldest first."""

    processes: list[ProcessDocument]
