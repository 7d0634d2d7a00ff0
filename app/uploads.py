"""Checking a body where it disturbs nobody: here, in a thread, or in a child process.

Decoding makes an object of some 75 bytes for every event, and an event may take three bytes to send; unpaired surrogates
are looked at one by one; and it keeps the interpreter to itself meanwhile. So a body that is larger or more crowded than
recordings are is checked by a child (`app.checking`), whose memory is bounded, one at a time.
"""

import asyncio
import sys
from contextlib import suppress
from typing import TypeVar

import msgspec

from app.checking import OUT_OF_MEMORY, Answer, Checked, Format, check
from app.errors import ApiError, Code, invalid_fields
from replay.envelope import BadEnvelope

INLINE_BYTES = 64 * 1024  # up to here the detour through a thread costs more than it brings
SMALL_BYTES = 12_000_000  # no need to count: an event takes three bytes with its comma, an escape six
LARGE_BYTES = 128 * 1024 * 1024
CROWDED = 4_000_000  # commas: a recording of 70 to 120 MB has as many, most of them inside its events
ESCAPED = 2_000_000  # escapes of UTF-16 units, the only ones that may be surrogates
APART_S = 120
PIPE_BYTES = 1024 * 1024

T = TypeVar("T")


async def check_body(
    body: bytearray, format_: Format[T], apart: asyncio.Semaphore, *, digest: bool
) -> Checked[T]:
    """The body, checked and compressed, without stalling the event loop. `apart` bounds how many children there are.

    Raises ApiError.
    """
    try:
        if len(body) <= INLINE_BYTES:
            return check(body, format_, digest=digest)
        if not _is_crowded(body):
            return await asyncio.to_thread(check, body, format_, digest=digest)
        async with apart, asyncio.timeout(APART_S):
            return await _check_apart(body, format_, digest=digest)
    except BadEnvelope as error:
        raise invalid_fields(error.faults) from None


def _is_crowded(body: bytearray) -> bool:
    return len(body) > SMALL_BYTES and (
        len(body) >= LARGE_BYTES or body.count(b",") >= CROWDED or body.count(rb"\u") >= ESCAPED
    )


async def _check_apart(body: bytearray, format_: Format[T], *, digest: bool) -> Checked[T]:
    child = await asyncio.create_subprocess_exec(
        # -P: "app" is ours, not that of the working directory
        *(sys.executable, "-P", "-m", "app.checking", str(len(body)), format_.name, str(int(digest))),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert child.stdin  # noqa: S101  # narrows asyncio's types: both are pipes
        assert child.stdout  # noqa: S101
        with suppress(BrokenPipeError, ConnectionResetError):  # then it has an answer, or died
            for start in range(0, len(body), PIPE_BYTES):
                child.stdin.write(body[start : start + PIPE_BYTES])
                await child.stdin.drain()
        answer, _, payload = (await child.stdout.read()).partition(b"\n")
        status = await child.wait()
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    if status >= 0 and status not in (0, OUT_OF_MEMORY):
        raise RuntimeError(f"app.checking ended with status {status}; standard error has why")
    if status != 0:
        detail = "The body holds more events than any recording can have."
        raise ApiError(Code.PAYLOAD_TOO_LARGE, detail)
    found = msgspec.json.decode(answer, type=Answer[format_.head])  # type: ignore[name-defined]  # its type at run time
    if found.checked is None:
        raise BadEnvelope.of(found.refusal or [(None, "cannot be read")])
    checked: Checked[T] = found.checked
    checked.payload = payload
    return checked
