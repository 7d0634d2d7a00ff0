"""What a web process works with, made as its settings say; nothing runs or is connected yet."""

import asyncio
from functools import partial

import metrics
from app import health
from app.budget import ByteBudget
from app.gatherer import Gatherer
from app.limits import Quotas, RateLimits
from app.metrics import WebMetrics
from app.passwords import Passwords
from app.pending import Pending
from app.proxies import Proxies
from app.services import BodyLimits, Services
from app.waiting import Watcher
from models import queries
from models.conservation import Conserved, conservation
from models.db import Database
from models.doorbell import Doorbell, connect
from models.figures import figures
from models.live import LiveTerms
from models.pending import pending_bytes
from models.rates import rates
from models.sign_in import SessionTerms
from models.video import VideoTerms
from settings import Settings, SettingsError
from storage.open import open_storage
from storage.protocol import Storage, StorageError
from traces import Traces, open_traces

POOL_SIZE = 20
DATABASE_LIMIT_S = 15


def assembled(settings: Settings, traces: Traces | None = None) -> Services:
    """The services of one web process. Without `traces` the settings say whether there are any. Raises SettingsError."""
    db = Database(
        settings.database_url, pool_size=POOL_SIZE, limit_s=DATABASE_LIMIT_S, application="tapedeck-web"
    )
    storage = _storage(settings)
    redis = connect(settings.redis_url)
    return Services(
        db=db,
        storage=storage,
        doorbell=Doorbell(settings.redis_url),
        watcher=Watcher(partial(queries.statuses, db)),
        budget=ByteBudget(settings.inflight_budget_bytes),
        limits=BodyLimits(settings.max_body_bytes, settings.max_events_bytes, settings.body_stall_s),
        rates=RateLimits(settings.redis_url, _quotas(settings)),
        pending=Pending(partial(pending_bytes, db), settings.pending_max_bytes),
        video=VideoTerms(settings.video_wait_s, settings.upload_url_ttl_s, settings.upload_deadline_s),
        live=LiveTerms(settings.session_idle_s, settings.session_max_s, settings.session_max_bytes),
        apart=asyncio.Semaphore(1),
        planning=asyncio.Semaphore(1),
        passwords=Passwords(),
        sessions=SessionTerms(settings.sign_in_idle_s, settings.sign_in_max_s),
        proxies=Proxies(settings.trusted_proxies),
        is_https=settings.base_url.startswith("https://"),
        tenant_running_max=settings.tenant_running_max,
        failed_payload_days=settings.failed_payload_days,
        metrics=WebMetrics(metrics.new_registry("web")),
        figures=Gatherer("figures", partial(figures, db), lambda known: known.size),
        throughput=Gatherer("rates", partial(rates, db), lambda known: known.ended),
        last_day=_conserved(db, "day", hours=24, days=1),
        last_days=_conserved(db, "days", hours=168, days=14),
        redis=redis,
        readiness=health.Readiness({"database": db.ping, "redis": redis.ping, "storage": storage.check}),
        traces=traces or open_traces("web", are_on=settings.traces_are_on),
    )


def _quotas(settings: Settings) -> Quotas:
    return Quotas(
        settings.rate_limit_requests,
        settings.rate_limit_bytes,
        settings.project_rate_limit_requests,
        settings.project_rate_limit_bytes,
    )


def _storage(settings: Settings) -> Storage:
    try:
        return open_storage(
            settings.storage_url,
            secret_key=settings.secret_key,
            base_url=settings.base_url,
            emulator_host=settings.storage_emulator_host,
            cors_origins=settings.cors_origins,
            max_put_bytes=settings.max_video_bytes,
            upload_deadline_s=settings.upload_deadline_s,
        )
    except StorageError as error:
        raise SettingsError(f"STORAGE_URL: {error}") from None


def _conserved(db: Database, span: str, *, hours: int, days: int) -> Gatherer[Conserved]:
    """What pages show of conservation: looked at for all viewers, and for none when there are none."""
    look = partial(conservation, db, hours=hours, days=days)
    return Gatherer(f"conservation_of_the_last_{span}", look, lambda known: known.size, always=False)
