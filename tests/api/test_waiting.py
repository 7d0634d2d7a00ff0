"""Holding answers: who waits is held for as long as nothing changes."""

import asyncio
from collections.abc import Collection
from uuid import UUID, uuid4

from app.waiting import Watcher
from models.recording import Status


async def test_who_comes_during_a_query_is_not_let_go_by_its_answer() -> None:
    """The answer does not hold them, which is no sign that their recording is gone."""
    first, second = uuid4(), uuid4()
    asked, go_on = [asyncio.Event(), asyncio.Event()], asyncio.Event()

    async def read(ids: Collection[UUID]) -> dict[UUID, Status]:
        asked[second in ids].set()
        await go_on.wait()
        return dict.fromkeys(ids, Status.PROCESSING)

    async with Watcher(read, poll_s=0.01) as watcher:
        waiting = [asyncio.create_task(watcher.changed(first, Status.PROCESSING, timeout_s=60))]
        await asyncio.wait_for(asked[False].wait(), 20)
        waiting.append(asyncio.create_task(watcher.changed(second, Status.PROCESSING, timeout_s=60)))
        await asyncio.sleep(0)  # now it waits
        go_on.set()
        await asyncio.wait_for(asked[True].wait(), 20)  # which is when the first answer was dealt with
        assert not any(task.done() for task in waiting)
    await asyncio.wait_for(asyncio.gather(*waiting), 20)
