"""Frozen settings, read from the environment once. Nothing else reads the environment.

Sizes are bytes, durations seconds (`_s`) unless the name says otherwise. `load()` turns a wrong or missing value
into a `SettingsError` of one line, which the entry points print before they exit with status 2.
"""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MIB = 1024 * 1024
MOST = 10**15 - 1  # the largest integer that a header may say (RFC 9651, 3.3.1)

T = TypeVar("T", bound=BaseSettings)


class SettingsError(Exception):
    """A setting is wrong or missing; the message is one line that names it and the fix."""


def _one_of(value: str, *forms: str) -> str:
    """`value`, if its scheme is that of one of the forms and its port is a number."""
    try:
        parts = urlsplit(value)
        known = parts.port is None or parts.port >= 0
    except ValueError:
        known = False
    if not known or not value.startswith(tuple(form.partition("…")[0] for form in forms)):
        raise ValueError(f"must be {' or '.join(forms)}")
    return value


def _origins(value: object) -> object:
    if not isinstance(value, str):
        return value
    origins = tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())
    for origin in origins:
        if origin != "*" and not urlsplit(origin).netloc:
            raise ValueError(f"{origin!r} is no origin: use * or https://…, separated by commas")
    return origins


def _networks(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"{error}: use networks such as 10.0.0.0/8, separated by commas") from None


PostgresUrl = Annotated[
    str, AfterValidator(lambda v: _one_of(v, "postgresql://…host:port/database", "postgres://…"))
]
RedisUrl = Annotated[
    str, AfterValidator(lambda v: _one_of(v, "redis://…host:port/number", "rediss://…", "unix://…"))
]
StorageUrl = Annotated[str, AfterValidator(lambda v: _one_of(v, "gs://…bucket", "file:///…path"))]
PublicUrl = Annotated[str, AfterValidator(lambda v: _one_of(v, "https://…", "http://…"))]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_networks)]
Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)]


class Settings(BaseSettings):
    """What a deck needs to know. See docs/operations.md for each variable."""

    model_config = SettingsConfigDict(
        env_prefix="TAPEDECK_", frozen=True, extra="ignore", populate_by_name=True
    )

    database_url: PostgresUrl = Field(alias="DATABASE_URL")
    redis_url: RedisUrl = Field(alias="REDIS_URL")
    storage_url: StorageUrl = Field(alias="STORAGE_URL")
    host: str = Field("127.0.0.1", alias="HOST")
    port: int = Field(8000, alias="PORT", ge=0, le=65535)
    storage_emulator_host: str | None = Field(None, alias="STORAGE_EMULATOR_HOST")

    secret_key: str = Field(min_length=32)
    public_url: PublicUrl | None = None

    max_body_bytes: int = Field(64 * MIB, gt=0)
    max_events_bytes: int = Field(512 * MIB, gt=0)
    max_video_bytes: int = Field(2048 * MIB, gt=0)
    video_wait_s: float = Field(86400, gt=0, description="a video that is not there by then has failed")
    upload_url_ttl_s: int = Field(3600, ge=1, description="how long a presigned URL can begin an upload")
    upload_deadline_s: float = Field(
        21600, gt=0, description="an upload that began before its URL expired is over after this"
    )
    inflight_bytes: int = Field(
        0, ge=0, description="decompressed bytes of all requests in flight, per process; 0: max_events_bytes"
    )
    body_stall_s: float = Field(30, gt=0, description="a request body that does not go on for so long is cut")
    session_idle_s: float = Field(
        1800, gt=0, description="an open recording to which nothing came for so long is closed"
    )
    session_max_s: float = Field(86400, gt=0, description="an open recording that is older is closed")
    session_max_bytes: int = Field(512 * MIB, gt=0, description="an open recording that is larger is closed")
    rate_limit_requests: int = Field(6000, ge=0, le=MOST, description="a minute and key; 0: any number")
    rate_limit_bytes: int = Field(
        1024 * MIB, ge=0, le=MOST, description="as sent, a minute and key; 0: any number"
    )
    project_rate_limit_requests: int = Field(60000, ge=0, le=MOST, description="of all callers of a project")
    project_rate_limit_bytes: int = Field(
        10240 * MIB, ge=0, le=MOST, description="of all callers of a project"
    )
    pending_max_bytes: int = Field(
        20480 * MIB, gt=0, description="payload that waits in Postgres; beyond it nothing more is let in"
    )
    failed_payload_days: float = Field(30, ge=0)
    audit_days: float = Field(365, gt=0, description="what operators did is kept for so long")
    lease_s: float = Field(60, ge=1)
    max_attempts: int = Field(5, ge=1)
    max_losses: int = Field(5, ge=1)
    outage_deadline_s: float = Field(86400, gt=0)
    backoff_s: float = Field(
        2, gt=0, description="first delay of a job that is tried again; doubles each time, with jitter"
    )
    backoff_max_s: float = Field(300, gt=0)
    ring_again_s: float = Field(
        5, gt=0, description="a rung job that nobody claimed is rung again after this"
    )
    ring_window: int = Field(64, ge=1, description="messages in Redis per queue")
    tenant_running_max: int = Field(
        0, ge=0, description="jobs of one tenant and kind that run at once; 0: any number"
    )
    poll_s: float = Field(1, gt=0, description="how often the dispatcher looks when nobody wakes it")
    put_deadline_s: float = Field(120, gt=0, description="how long one put to storage may take")
    cors_origins: Origins = ("*",)
    trusted_proxies: Networks = ()
    sign_in_idle_s: float = Field(
        43200, gt=0, description="a sign-in session that is not used for so long is over"
    )
    sign_in_max_s: float = Field(604800, gt=0, description="every sign-in session is over after this")
    job_timeout_s: float = Field(600, gt=0, description="an attempt that takes longer counts as a loss")
    drain_s: float = Field(10, ge=0, description="how long a worker that is stopped lets its jobs finish")
    sweep_s: float = Field(30, gt=0, description="how often the dispatcher sweeps what time made due")
    conservation_s: float = Field(60, gt=0, description="how often the dispatcher counts what was accepted")
    metrics_port: int = Field(
        0, ge=0, le=65535, description="where a process without HTTP of its own serves /metrics; 0: nowhere"
    )
    log_format: str = Field("text", pattern="^(text|json)$")

    otel_endpoint: str = Field("", alias="OTEL_EXPORTER_OTLP_ENDPOINT", description="as OpenTelemetry has it")
    otel_traces_endpoint: str = Field("", alias="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    otel_traces_exporter: str = Field("otlp", alias="OTEL_TRACES_EXPORTER")
    otel_sdk_disabled: bool = Field(False, alias="OTEL_SDK_DISABLED")

    @property
    def traces_are_on(self) -> bool:
        """Whether there is somebody to send traces to."""
        asked = self.otel_traces_exporter == "otlp" and not self.otel_sdk_disabled
        return asked and bool(self.otel_endpoint or self.otel_traces_endpoint)

    @property
    def base_url(self) -> str:
        """Where clients reach this deck, without a trailing slash."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def inflight_budget_bytes(self) -> int:
        """Decompressed bytes that all requests of one process may hold together."""
        return max(self.inflight_bytes, self.max_events_bytes)


class HomeSettings(BaseSettings):
    """What `tapedeck up` and the client commands need before any service is known."""

    model_config = SettingsConfigDict(
        env_prefix="TAPEDECK_", frozen=True, extra="ignore", populate_by_name=True
    )

    home: Path = Path(".tapedeck")
    host: str = Field("127.0.0.1", alias="HOST")
    port: int = Field(8000, alias="PORT", ge=0, le=65535)
    database_url: PostgresUrl | None = Field(None, alias="DATABASE_URL")
    redis_url: RedisUrl | None = Field(None, alias="REDIS_URL")
    storage_url: StorageUrl | None = Field(None, alias="STORAGE_URL")
    secret_key: str | None = None
    public_url: PublicUrl | None = None
    metrics_port: int | None = Field(None, ge=0, le=65535)
    first_keys: Path | None = Field(
        None, description="where the first tenant's keys are, or go; without it they are printed"
    )
    url: str | None = None
    api_key: str | None = None


def load(**overrides: Any) -> Settings:
    """The settings of this process. Raises SettingsError."""
    return _build(Settings, overrides)


def load_home(**overrides: Any) -> HomeSettings:
    """The settings of a `tapedeck` command. Raises SettingsError."""
    return _build(HomeSettings, overrides)


def _build(model: type[T], overrides: dict[str, Any]) -> T:
    try:
        return model(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        name = field if field.isupper() else f"TAPEDECK_{field.upper()}"
        problem = "is not set" if first["type"] == "missing" else first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{name}: {problem}") from None
