"""`/health`: this process runs. `/ready`: what it depends on answers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

import msgspec
import structlog
from litestar import Request, Response, get
from litestar.openapi.datastructures import ResponseSpec

TIMEOUT_S = 2.0

log = structlog.get_logger()

State = Literal["ok", "away"]


class Health(msgspec.Struct):
    """The process runs."""

    status: Literal["ok"] = "ok"


class Ready(msgspec.Struct):
    """Whether everything answers, and which of the dependencies does."""

    status: Literal["ready", "unavailable"]
    dependencies: dict[str, State]


class Readiness:
    """Asks dependencies whether they answer. One question to each at a time, however many want to know."""

    def __init__(
        self, checks: Mapping[str, Callable[[], Awaitable[object]]], *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._checks = checks
        self._timeout_s = timeout_s
        self._asking: dict[str, asyncio.Task[object]] = {}

    async def ask(self) -> dict[str, State]:
        """The state of each dependency, within the timeout."""
        states = await asyncio.gather(*map(self._ask, self._checks))
        return dict(zip(self._checks, states, strict=True))

    async def _ask(self, name: str) -> State:
        task = self._asking.get(name)
        if task is None or task.done():
            task = self._asking[name] = asyncio.ensure_future(_call(self._checks[name]))
        done, _ = await asyncio.wait([task], timeout=self._timeout_s)
        error = task.exception() if done else TimeoutError(f"no answer within {self._timeout_s:g} s")
        if error is not None:
            log.warning(
                "dependency_away", dependency=name, error=f"{type(error).__name__}: {str(error)[:200]}"
            )
        return "away" if error is not None else "ok"

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
    readiness: Readiness = request.app.state.readiness
    states = await readiness.ask()
    if "away" in states.values():
        return Response(Ready("unavailable", states), status_code=503, headers={"Retry-After": "2"})
    return Response(Ready("ready", states), headers={"Cache-Control": "no-store"})


async def _call(check: Callable[[], Awaitable[object]]) -> object:
    return await check()
