"""What the overview says of what a deck needs, and how it is all in all."""

from typing import Literal

import msgspec

from app.documents import Timestamp


class TroubleDocument(msgspec.Struct):
    """Something that is wrong, what to do, and the page that shows it. `code` is stable."""

    severity: Literal["critical", "warning", "notice"]
    code: str
    what: str
    do: str
    link: str


class VerdictDocument(msgspec.Struct):
    """Whether all is well, in a line; if not, what is wrong, the worst first."""

    well: bool
    summary: str
    troubles: list[TroubleDocument]


class BreakerDocument(msgspec.Struct):
    """Something that jobs need: `open` while it is away."""

    dependency: str
    state: str
    reason: str | None
    opened_at: Timestamp | None


class DependencyDocument(msgspec.Struct):
    """Whether a dependency answers this web process, and how fast; and whether jobs that need it are held back (`breaker`)."""

    name: str
    state: Literal["ok", "away"]
    latency_ms: float | None
    error: str | None
    breaker: BreakerDocument | None


class RedisDocument(msgspec.Struct):
    """How Redis is. `fit`: it does not evict messages. `messages` in it by queue, those that workers have fetched included, and how
    many there may be (`window`): null while no dispatcher says so."""

    policy: str | None
    fit: bool
    used_bytes: int
    max_bytes: int | None
    window: int | None
    messages: dict[str, int] | None
