"""What a web process sees of the deck at one moment: what the overview shows, and what the verdict is made of."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from app.health import Answer
from app.redis_state import RedisState, state_of
from app.services import Services
from models import overview
from models.db import is_away
from models.figures import Figures
from models.overview import Seen
from models.rates import Rates


@dataclass(frozen=True)
class Sight:
    """One moment. `seen` is None while Postgres is away, `redis` while Redis is; `counted` and `rates` when there was too much to
    count. `answers` are those of the dependencies, by name."""

    answers: Mapping[str, Answer]
    seen: Seen | None
    counted: Figures | None
    rates: Rates | None
    redis: RedisState | None
    pending_bytes: int
    pending_max_bytes: int


async def sight_of(services: Services) -> Sight:
    """Look. What does not answer is not asked for more. Raises TooCostly."""
    answers = await services.readiness.recent()
    seen, redis = await asyncio.gather(_seen(services, answers), _redis(services, answers))
    counted, rates = None, None
    if seen is not None:
        counted, rates = await asyncio.gather(services.figures.present(), services.throughput.present())
    pending = services.pending
    return Sight(answers, seen, counted, rates, redis, pending.size, pending.cap)


async def _seen(services: Services, answers: Mapping[str, Answer]) -> Seen | None:
    if answers["database"].state == "away":
        return None
    try:
        return await overview.seen(services.db)
    except Exception as error:
        if is_away(error):
            return None
        raise


async def _redis(services: Services, answers: Mapping[str, Answer]) -> RedisState | None:
    return None if answers["redis"].state == "away" else await state_of(services.redis)
