"""Letting in what takes in recordings, before its body is read: the cap on what waits, then the limits of rate."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from litestar import Request
from litestar.datastructures import MutableScopeHeaders, State
from litestar.types import Message, Receive, Scope

from app.auth import Caller
from app.bodies import read_body
from app.errors import ApiError
from app.limits import Sender
from app.services import services_of

SAID = "rate_limit_headers"  # in the state of a request's scope


@asynccontextmanager
async def admitted_body(request: Request[Any, Caller, State]) -> AsyncIterator[bytearray]:
    """The decompressed body of a request that is let in; see `app.bodies.read_body`. Raises ApiError.

    A length that is announced is charged before the body is read, else what came of it afterwards.
    """
    services = services_of(request)
    services.pending.check()
    bill = _Bill(request)
    announced = request.headers.get("content-length", "")
    size = int(announced) if announced.isdecimal() else None
    is_unfit = size is not None and size > services.limits.max_body_bytes  # is refused without being read
    await bill.charge(requests=1, size=0 if is_unfit else size or 0)
    receive = request.receive if size is not None else bill.receive
    try:
        async with read_body(receive, request.headers, services.limits, services.budget) as body:
            await bill.settle()
            yield body
    finally:
        with suppress(ApiError):  # something else went wrong before
            await bill.settle()


class _Bill:
    """What a request is charged, and what its answer says of that."""

    def __init__(self, request: Request[Any, Caller, State]) -> None:
        caller = request.auth
        self._sender = Sender(caller.project_id, caller.user_id, caller.api_key_id)
        self._rates = services_of(request).rates
        self._said: dict[str, Any] = request.scope["state"]
        self._receive: Receive = request.receive
        self._owed = 0

    async def charge(self, *, requests: int = 0, size: int = 0) -> None:
        """Raises ApiError."""
        charge = await self._rates.charge(self._sender, requests=requests, size=size)
        self._said[SAID] = charge.headers
        if charge.refusal:
            raise charge.refusal

    async def receive(self) -> Any:
        """The body as it comes, whose length nobody announced."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._owed += len(message["body"])
        return message

    async def settle(self) -> None:
        """Charge what came, once. Raises ApiError."""
        owed, self._owed = self._owed, 0
        if owed:
            await self.charge(size=owed)


async def say_limits(message: Message, scope: Scope) -> None:
    """Every answer to a request that was charged says how the limits stand; for Litestar's `before_send`."""
    if message["type"] == "http.response.start" and (said := scope["state"].get(SAID)):
        MutableScopeHeaders.from_message(message).update(said)
