"""Request bodies: read as they arrive and decompressed, under two caps and a budget.

A body is decompressed in threads, held in memory once, and counted against the process's budget while it is. Nothing is
stored here, so whatever fails, a client may send the same request again.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec
from litestar.types import Receive

from app.budget import ByteBudget, Hold, OverBudget
from app.encodings import DECODERS, OFFERED, BadEncoding, Decoder
from app.errors import RETRY_SOON_S, ApiError, Code, invalid
from app.services import BodyLimits

T = TypeVar("T")

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
            if decoder is None:
                async for piece in _pieces(receive, limits):
                    _keep(piece, body, limits, hold)
            else:
                async for batch in _batches(_pieces(receive, limits)):
                    await asyncio.to_thread(_expand, decoder, batch, body, limits, hold)
                decoder.finish()
        except BadEncoding as error:
            raise invalid(None, f"The body cannot be decompressed: {error}.") from None
        except OverBudget:
            raise _overloaded() from None
        yield body


def decode_small(decoder: msgspec.json.Decoder[T], body: bytearray) -> T:
    """What a body says that is small enough to be decoded here. Raises ApiError, which names the field."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        message, _, path = str(error).replace("`", "'").partition(" - at '$.")
        raise invalid(path.rstrip("'") or None, message) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid(None, f"malformed JSON: {error}") from None


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


async def _batches(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytearray]:
    batch = bytearray()
    async for piece in pieces:
        batch += piece
        if len(batch) >= BATCH_BYTES:
            yield batch
            batch = bytearray()
    yield batch


async def _pieces(receive: Receive, limits: BodyLimits) -> AsyncIterator[bytes]:
    """The body as sent. Raises ApiError, also when the client stalls."""
    loop = asyncio.get_running_loop()
    sent, progress = 0, 0
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
        piece = message.get("body", b"")
        sent += len(piece)
        if sent > limits.max_body_bytes:
            raise _too_large("as sent", limits.max_body_bytes)
        working_since = loop.time()
        if sent - progress >= PROGRESS_BYTES:
            progress, deadline = sent, working_since + limits.stall_s
        yield piece
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
