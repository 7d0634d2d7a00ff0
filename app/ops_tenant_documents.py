"""What the operators' API answers with about tenants."""

from uuid import UUID

import msgspec

from app.documents import Timestamp


class Counted(msgspec.Struct):
    """How many were counted. `at_least`: there may be more of them."""

    count: int
    at_least: bool


class TenantDocument(msgspec.Struct):
    """A tenant: recordings that it sent today (UTC) and in the last 30 days, those of it that are `failed` now, bytes of payload that
    wait in Postgres, and its jobs. The one that has been due for longest is so since `oldest_due_at`."""

    id: UUID
    name: str
    created_at: Timestamp
    accepted_today: int
    accepted_30_days: int
    failed: Counted
    pending_bytes: Counted
    due: Counted
    running: int
    dead: Counted
    oldest_due_at: Timestamp | None
    oldest_due_s: float | None


class TenantList(msgspec.Struct):
    """Tenants, as they are `at`. `running_max`: how many jobs of a tenant may run at once, by queue; only queues with such a
    limit, which holds for each tenant."""

    at: Timestamp
    tenants: list[TenantDocument]
    running_max: dict[str, int]
    next_cursor: UUID | None


class TenantQueue(msgspec.Struct):
    """A tenant's jobs of a kind; `running_max`: so many may run at once, null: any number."""

    kind: str
    due: Counted
    running: int
    dead: Counted
    oldest_due_at: Timestamp | None
    oldest_due_s: float | None
    running_max: int | None


class ByStatus(msgspec.Struct):
    """A tenant's recordings by status; `at_least`: the newest were counted, there are older ones."""

    uploading: int
    processing: int
    ready: int
    failed: int
    at_least: bool


class ProjectDocument(msgspec.Struct):
    """A project: what is masked, whether its recordings get rows, and after how many days they are deleted, null: never."""

    id: UUID
    name: str
    created_at: Timestamp
    masking: str
    relational: bool
    retention_days: float | None


class RateLimitsDocument(msgspec.Struct):
    """Requests that take in recordings, and bytes of their bodies, a minute: of each key (of a session: user) and of each
    project; null: any number."""

    key_requests: int | None
    key_bytes: int | None
    project_requests: int | None
    project_bytes: int | None


class TenantDetail(TenantDocument):
    """A tenant as it is `at`, by queue and by status, with its projects, the oldest first; `more_projects`: some are left out."""

    at: Timestamp
    queues: list[TenantQueue]
    recordings: ByStatus
    rate_limits: RateLimitsDocument
    projects: list[ProjectDocument]
    more_projects: bool
