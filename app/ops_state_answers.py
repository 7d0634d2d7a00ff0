"""How what a deck needs, and the verdict, become what the operators' API answers with."""

from collections.abc import Sequence
from typing import Literal

from app.documents import timestamp
from app.health import Answer
from app.ops_state_documents import (
    BreakerDocument,
    DependencyDocument,
    RedisDocument,
    TroubleDocument,
    VerdictDocument,
)
from app.redis_state import RedisState
from app.troubles import Severity
from app.verdict import Verdict
from models.breakers import Breaker

_SEVERITIES: dict[Severity, Literal["critical", "warning", "notice"]] = {
    Severity.CRITICAL: "critical",
    Severity.WARNING: "warning",
    Severity.NOTICE: "notice",
}


def verdict_of(found: Verdict) -> VerdictDocument:
    """Whether all is well."""
    troubles = [
        TroubleDocument(_SEVERITIES[one.severity], one.code, one.what, one.do, one.link)
        for one in found.troubles
    ]
    return VerdictDocument(found.is_well, found.summary, troubles)


def breaker_of(breaker: Breaker) -> BreakerDocument:
    """Something that jobs need."""
    opened_at = None if breaker.opened_at is None else timestamp(breaker.opened_at)
    return BreakerDocument(breaker.dependency.value, breaker.state.value, breaker.reason, opened_at)


def dependency_of(name: str, answer: Answer, breakers: Sequence[BreakerDocument]) -> DependencyDocument:
    """What a dependency answered."""
    latency_ms = None if answer.latency_ms is None else round(answer.latency_ms, 2)
    breaker = next((one for one in breakers if one.dependency == name), None)
    return DependencyDocument(name, answer.state, latency_ms, answer.error, breaker)


def redis_of(state: RedisState) -> RedisDocument:
    """How Redis is."""
    told = state.windows
    return RedisDocument(
        policy=state.policy,
        fit=state.is_fit,
        used_bytes=state.used_bytes,
        max_bytes=state.max_bytes,
        window=None if told is None else told.window,
        messages=None if told is None else dict(told.messages),
    )
