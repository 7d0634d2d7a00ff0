"""A job in a process of its own, as `workers.isolation` runs it, and the memory that it needs there. On Linux."""

import asyncio
import os
import sys
from collections.abc import Mapping

import msgspec

from models.lifecycle import Work
from workers.isolation import Answer, Order

# getrusage's figure outlives an exec and would show the parent's.
_MAIN = """
import sys
from pathlib import Path
from workers.isolated import main
main()
peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
print("", peak, sep="\\n", file=sys.__stdout__)
"""


async def peak_bytes(work: Work, environment: Mapping[str, str]) -> int:
    """The most memory that the process had at once, interpreter included. The job must succeed."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _MAIN,
        str(os.getpid()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    output, _ = await child.communicate(msgspec.json.encode(Order(work.claim, work.objects)))
    answer, kilobytes = output.splitlines()
    assert msgspec.json.decode(answer, type=Answer) == Answer()
    return int(kilobytes) * 1024
