"""The child process of `workers.isolation`: one job, read from standard input; its argument is the parent's pid."""

import asyncio
import sys

import msgspec

import logs
import settings
from models.ledger import ClaimLost
from models.lifecycle import Work
from workers.failures import failure_of
from workers.garbage import collect_rarely
from workers.isolation import Answer, Order
from workers.runner import JOBS
from workers.tools import open_tools
from workers.watchdog import exit_with_parent


async def _run(order: Order) -> Answer:
    async with open_tools(settings.load(), pool_size=1, application="tapedeck isolated job") as tools:
        try:
            await JOBS[order.claim.kind](Work(order.claim, order.objects), tools)
        except ClaimLost:
            return Answer(claim_lost=True)
        except Exception as error:
            return Answer(failure=failure_of(error))
    return Answer()


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever prints must not garble the answer
    exit_with_parent(int(sys.argv[1]))
    logs.configure(settings.load().log_format)
    collect_rarely()
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    answers.buffer.write(msgspec.json.encode(asyncio.run(_run(order))))
    answers.flush()


if __name__ == "__main__":
    main()
