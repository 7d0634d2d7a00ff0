"""What handlers work with: built by `app.main`, found through the request."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from litestar.connection import ASGIConnection
from redis.asyncio import Redis

from app.budget import ByteBudget
from app.gatherer import Gatherer
from app.health import Readiness
from app.limits import RateLimits
from app.metrics import WebMetrics
from app.passwords import Passwords
from app.pending import Pending
from app.proxies import Proxies
from app.reasons import Reasons
from app.seams import Seams
from app.shared import Shared
from app.streams import Streams
from app.waiting import Watcher
from models.conservation import Conserved
from models.db import Database
from models.doorbell import Doorbell
from models.figures import Figures
from models.live import LiveTerms
from models.rates import Rates
from models.sign_in import SessionTerms
from models.video import VideoTerms
from storage.protocol import Storage
from traces import Traces


@dataclass(frozen=True)
class BodyLimits:
    """Bounds of a request's body: bytes as sent, bytes decompressed, seconds without progress."""

    max_body_bytes: int
    max_events_bytes: int
    stall_s: float


@dataclass(frozen=True)
class Services:
    """The clients and limits of one web process."""

    db: Database
    storage: Storage
    doorbell: Doorbell
    watcher: Watcher
    budget: ByteBudget
    limits: BodyLimits
    rates: RateLimits
    pending: Pending
    video: VideoTerms
    live: LiveTerms
    apart: asyncio.Semaphore  # bounds the children of `app.uploads`
    planning: asyncio.Semaphore  # bounds what plans open recordings for readers (`app.so_far`)
    passwords: Passwords
    sessions: SessionTerms
    proxies: Proxies
    is_https: bool  # as clients see it
    metrics: WebMetrics
    figures: Gatherer[Figures]
    throughput: Gatherer[Rates]
    last_day: Gatherer[Conserved]
    last_days: Gatherer[Conserved]
    traces: Traces
    redis: Redis
    readiness: Readiness
    tenant_running_max: int = 0  # of queues without a limit of their own
    streams: Streams = field(default_factory=Streams)
    shared: Shared = field(default_factory=Shared)
    failed_payload_days: float = 30
    seams: Seams = field(default_factory=Seams)
    reasons: Reasons = field(default_factory=Reasons)


def services_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Services:
    """The services of the app that this request came to."""
    services: Services = connection.app.state.services
    return services
