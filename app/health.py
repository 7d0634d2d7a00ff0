"""`/health`: this process runs. `/ready`: what it depends on answers."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import structlog
from litestar import Request, Response, get
from litestar.openapi.datastructures import ResponseSpec

TIMEOUT_S = 2.0
RECENT_S = 3.0
ERROR_CHARS = 200

log = structlog.get_logger()

State = Literal["ok", "away"]


class Health(msgspec.Struct):
    """The process runs."""

    status: Literal["ok"] = "ok"


class Ready(msgspec.Struct):
    """Whether everything answers, and which of the dependencies does."""

    status: Literal["ready", "unavailable"]
    dependencies: dict[str, State]


@dataclass(frozen=True)
class Answer:
    """What came of a question. `latency_ms`: None without an answer in time; `error`: one line."""

    state: State
    latency_ms: float | None = None
    error: str | None = None


class Readiness:
    """Asks dependencies whether they answer. One question to each at a time, however many want to know."""

    def __init__(
        self, checks: Mapping[str, Callable[[], Awaitable[object]]], *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._checks = checks
        self._timeout_s = timeout_s
        self._asking: dict[str, asyncio.Task[Answer]] = {}
        self._known: Mapping[str, Answer] = {}
        self._known_until = 0.0

    async def ask(self) -> Mapping[str, Answer]:
        """What each dependency answers, within the timeout."""
        answers = await asyncio.gather(*map(self._ask, self._checks))
        self._known = dict(zip(self._checks, answers, strict=True))
        self._known_until = time.monotonic() + RECENT_S
        return self._known

    async def recent(self) -> Mapping[str, Answer]:
        """The same, or what they answered some seconds ago: for who asks again and again."""
        return self._known if time.monotonic() < self._known_until else await self.ask()

    async def _ask(self, name: str) -> Answer:
        task = self._asking.get(name)
        if task is None or task.done():
            task = self._asking[name] = asyncio.create_task(_answer(self._checks[name]))
        done, _ = await asyncio.wait([task], timeout=self._timeout_s)
        answer = task.result() if done else Answer("away", error=f"no answer within {self._timeout_s:g} s")
        if answer.error is not None:
            log.warning("dependency_away", dependency=name, error=answer.error)
        return answer

    async def close(self) -> None:
        """Stop asking."""
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)


@get(
    "/health", tags=["Operations"], sync_to_thread=False, operation_id="health", summary="Is the process up?"
)
def health() -> Health:
    """Answers while the process runs, whatever its dependencies do."""
    return Health()


@get(
    "/ready",
    tags=["Operations"],
    operation_id="ready",
    summary="Do the dependencies answer?",
    responses={503: ResponseSpec(Ready, generate_examples=False, description="A dependency is away.")},
)
async def ready(request: Request[Any, Any, Any]) -> Response[Ready]:
    """Asks the database, Redis and storage. Recordings are accepted while the database answers."""
    readiness: Readiness = request.app.state.services.readiness
    states = {name: answer.state for name, answer in (await readiness.ask()).items()}
    if "away" in states.values():
        return Response(Ready("unavailable", states), status_code=503, headers={"Retry-After": "2"})
    return Response(Ready("ready", states), headers={"Cache-Control": "no-store"})


async def _answer(check: Callable[[], Awaitable[object]]) -> Answer:
    began = time.perf_counter()
    try:
        await check()
    except Exception as error:
        return Answer("away", error=" ".join(f"{type(error).__name__}: {error}".split())[:ERROR_CHARS])
    return Answer("ok", (time.perf_counter() - began) * 1000)
