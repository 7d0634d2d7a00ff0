"""`/api/v1/ops/rates`: how fast the queues go."""

from typing import Any

import msgspec
from litestar import Response, get

from app import openapi, openapi_ops
from app.auth import ApiRequest
from app.documents import Timestamp, timestamp
from app.errors import ApiError, Code
from app.ops import NO_STORE, OPERATORS
from app.services import services_of
from models.rates import DONE, FAILED, Percentiles, QueueRates, Rates, Window, summed


class PercentilesDocument(msgspec.Struct):
    """Milliseconds."""

    p50: float
    p95: float


class MinutesDocument(msgspec.Struct):
    """Attempts that ended in each of sixty minutes, the oldest first; the last one goes on. `outcomes`: those that there were."""

    ended: list[int]
    done: list[int]
    failed: list[int]
    outcomes: dict[str, list[int]]


class WindowDocument(msgspec.Struct):
    """Attempts that ended from `since` until now. `done` did their work, or a part of it; `failed` did not (bad_input, fault, loss);
    others were stopped, or what they needed was away. `failed_share` is of those that were done or failed. `wait_ms`: from when a job
    was due to its claim; `run_ms`: from there to the end. Null: nothing ended, or too much to look at."""

    since: Timestamp
    ended: int
    done: int
    failed: int
    ended_per_min: float
    done_per_min: float
    failed_share: float | None
    wait_ms: PercentilesDocument | None
    run_ms: PercentilesDocument | None


class QueueRatesDocument(msgspec.Struct):
    """How fast a queue goes."""

    kind: str
    minutes: MinutesDocument
    last_5_min: WindowDocument
    last_hour: WindowDocument


class RatesDocument(msgspec.Struct):
    """How fast the queues go, as it was `at`: just now, or some seconds ago if much goes on. `since`: when the first minute began."""

    at: Timestamp
    since: Timestamp
    queues: list[QueueRatesDocument]


@get(
    "/rates",
    guards=OPERATORS,
    operation_class=openapi_ops.RATES,
    responses=openapi.problems(Code.TOO_COSTLY),
)
async def read_rates(request: ApiRequest) -> Response[RatesDocument]:
    """How fast the queues go: what ended in each of the last sixty minutes, how much of it failed, waits and runs."""
    if (known := await services_of(request).throughput.present()) is None:
        raise ApiError(Code.TOO_COSTLY, "The attempts could not be counted in time. Try again later.")
    return Response(rates_of(known), headers=NO_STORE)


def rates_of(rates: Rates) -> RatesDocument:
    """How fast queues go, as operators see it."""
    return RatesDocument(
        timestamp(rates.at), timestamp(rates.since), [_queue_of(queue) for queue in rates.queues]
    )


def _queue_of(queue: QueueRates) -> QueueRatesDocument:
    minutes = MinutesDocument(
        ended=summed(queue.minutes, queue.minutes.keys()),
        done=summed(queue.minutes, DONE),
        failed=summed(queue.minutes, FAILED),
        outcomes={outcome.value: list(counts) for outcome, counts in queue.minutes.items()},
    )
    return QueueRatesDocument(
        queue.kind.value, minutes, _window_of(queue.last_5_min), _window_of(queue.last_hour)
    )


def _window_of(window: Window) -> WindowDocument:
    return WindowDocument(
        since=timestamp(window.since),
        ended=window.ended,
        done=window.done,
        failed=window.failed,
        ended_per_min=round(window.ended / window.minutes, 3),
        done_per_min=round(window.done / window.minutes, 3),
        failed_share=None if window.failed_share is None else round(window.failed_share, 4),
        wait_ms=_percentiles_of(window.wait_ms),
        run_ms=_percentiles_of(window.run_ms),
    )


def _percentiles_of(found: Percentiles | None) -> PercentilesDocument | None:
    return None if found is None else PercentilesDocument(round(found.p50, 3), round(found.p95, 3))


HANDLERS: tuple[Any, ...] = (read_rates,)
