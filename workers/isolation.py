"""A job that lost its worker twice runs in a child process of its own: if it kills that too, nobody else suffers.

The child gets the claim on standard input and commits by itself, under the parent's lease. It answers on standard
output: nothing when the job is done, or the failure. A child that dies without an answer is a loss.
"""

import asyncio
import os
import sys

import msgspec
import structlog

from models.ledger import Claim, ClaimLost
from models.lifecycle import Work
from models.object import ObjectKind
from models.retry import Failure
from workers.failures import LOST

log = structlog.get_logger()


class Order(msgspec.Struct):
    """What the child is asked to do."""

    claim: Claim
    objects: dict[ObjectKind, str]


class Answer(msgspec.Struct):
    """How it went: neither field is set when the job is done."""

    failure: Failure | None = None
    claim_lost: bool = False


async def run_isolated(work: Work) -> Failure | None:
    """Run the job in a child process. None when it is done. Raises ClaimLost."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # whatever lies in the working directory is not ours
        "-m",
        "workers.isolated",
        str(os.getpid()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        order = msgspec.json.encode(Order(work.claim, work.objects))
        output, _ = await child.communicate(order)
    except asyncio.CancelledError:
        child.kill()
        await child.wait()
        raise
    try:
        answer = msgspec.json.decode(output, type=Answer)
    except msgspec.DecodeError:
        log.warning("isolated_job_died", code=child.returncode)
        return LOST
    if answer.claim_lost:
        raise ClaimLost
    return answer.failure
