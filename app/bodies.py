"""Request bodies: read as they arrive and decompressed, under two caps and a budget.

A body is decompressed in threads, held in memory once, and counted against the process's budget while it is. Nothing is
stored here, so whatever fails, a client may send the same request again.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from litestar.types import Receive

from app.budget import ByteBudget, Hold, OverBudget
from app.encodings import DECODERS, OFFERED, BadEncoding, Decoder
from app.errors import RETRY_SOON_S, ApiError, Code, invalid
from app.services import BodyLimits

BATCH_BYTES = 256 * 1024  # as sent, for each turn of a decompressing thread
PROGRESS_BYTES = 16 * 1024  # a client that brings less than this in `stall_s` is stalling


@asynccontextmanager
async def read_body(
    receive: Receive, headers: Mapping[str, str], limits: BodyLimits, budget: ByteBudget
) -> AsyncIterator[bytearray]:
    """The decompressed body, which counts against the budget until the block ends. Raises ApiError."""
    decoder = _decoder(headers.get("content-encoding", ""))
    announced = headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limits.max_body_bytes:
        raise _too_large("as sent", limits.max_body_bytes)
    if budget.free <= 0:
        raise _overloaded()
    with budget.hold() as hold:
        body = bytearray()
        try:
            async for batch in _batches(receive, limits, BATCH_BYTES if decoder else 1):
                if decoder is None:
                    _keep(batch, body, limits, hold)
                else:
                    await asyncio.to_thread(_expand, decoder, batch, body, limits, hold)
            if decoder is not None:
                decoder.finish()
        except BadEncoding as error:
            raise invalid(None, f"The body cannot be decompressed: {error}.") from None
        except OverBudget:
            raise _overloaded() from None
        yield body


def _decoder(content_encoding: str) -> Decoder | None:
    coding = content_encoding.strip().lower()
    if coding in ("", "identity"):
        return None
    if coding not in DECODERS:
        raise ApiError(
            Code.UNSUPPORTED_ENCODING,
            f"Content-Encoding must be one of {OFFERED}, or absent.",
            headers={"Accept-Encoding": OFFERED},
        )
    return DECODERS[coding]()


async def _batches(receive: Receive, limits: BodyLimits, batch_bytes: int) -> AsyncIterator[bytearray]:
    """The body as sent, in pieces of `batch_bytes` or more. Raises ApiError, also when the client stalls."""
    loop = asyncio.get_running_loop()
    batch, sent, progress = bytearray(), 0, 0
    deadline = loop.time() + limits.stall_s
    more = True
    while more:
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise ApiError(
                Code.REQUEST_TIMEOUT,
                f"The body did not go on for {limits.stall_s:g} seconds.",
                headers={"Connection": "close"},
            ) from None
        if message["type"] != "http.request":
            raise ApiError(Code.VALIDATION_ERROR, "The client went away before its body was complete.")
        more = message.get("more_body", False)
        batch += message.get("body", b"")
        if sent + len(batch) > limits.max_body_bytes:
            raise _too_large("as sent", limits.max_body_bytes)
        if sent + len(batch) - progress >= PROGRESS_BYTES:
            progress, deadline = sent + len(batch), loop.time() + limits.stall_s
        if len(batch) >= batch_bytes or not more:
            sent += len(batch)
            working_since = loop.time()
            yield batch
            batch = bytearray()
            deadline += loop.time() - working_since  # our own work is no stalling


def _expand(decoder: Decoder, batch: bytearray, body: bytearray, limits: BodyLimits, hold: Hold) -> None:
    for piece in decoder.decode(batch):
        _keep(piece, body, limits, hold)


def _keep(piece: bytes | bytearray, body: bytearray, limits: BodyLimits, hold: Hold) -> None:
    if len(body) + len(piece) > limits.max_events_bytes:
        raise _too_large("decompressed", limits.max_events_bytes)
    hold.take(len(piece))
    body += piece


def _too_large(what: str, limit: int) -> ApiError:
    return ApiError(Code.PAYLOAD_TOO_LARGE, f"The body is larger than {limit} bytes {what}.")


def _overloaded() -> ApiError:
    detail = "Too many bytes of request bodies are in flight. Nothing was stored; try again soon."
    return ApiError(Code.OVERLOADED, detail, headers={"Retry-After": str(RETRY_SOON_S)})
