"""Looks that viewers share."""

import asyncio

import pytest

from app import shared
from app.shared import Shared


class Looks:
    """Each takes until it may end, and finds how many there were."""

    def __init__(self) -> None:
        self.begun = 0
        self.may_end = asyncio.Event()

    async def __call__(self) -> int:
        self.begun += 1
        found = self.begun
        await self.may_end.wait()
        return found


async def test_who_asks_while_another_looks_sees_the_same() -> None:
    looks, viewers = Looks(), Shared()
    asking = [asyncio.create_task(viewers.get("a page", looks)) for _ in range(5)]
    elsewhere = asyncio.create_task(viewers.get("another page", looks))
    await asyncio.sleep(0)
    looks.may_end.set()
    assert await asyncio.gather(*asking, elsewhere) == [1, 1, 1, 1, 1, 2]
    assert await viewers.get("a page", looks) == 1


async def test_what_is_no_longer_fresh_is_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "FRESH_S", 0)
    looks, viewers = Looks(), Shared()
    looks.may_end.set()
    assert [await viewers.get("a page", looks) for _ in range(3)] == [1, 2, 3]


async def test_after_a_change_nobody_sees_what_was_before() -> None:
    looks, viewers = Looks(), Shared()
    before = asyncio.create_task(viewers.get("a page", looks))
    await asyncio.sleep(0)
    viewers.forget()
    after = asyncio.create_task(viewers.get("a page", looks))
    await asyncio.sleep(0)
    looks.may_end.set()
    assert (await before, await after, await viewers.get("a page", looks)) == (1, 2, 2)


async def test_a_viewer_who_goes_away_ends_no_look_of_others() -> None:
    looks, viewers = Looks(), Shared()
    first, second = [asyncio.create_task(viewers.get("a page", looks)) for _ in range(2)]
    await asyncio.sleep(0)
    first.cancel()
    looks.may_end.set()
    assert await second == 1


async def test_a_look_that_fails_fails_for_all() -> None:
    async def fails() -> None:
        raise ValueError("no")

    viewers = Shared()
    found = await asyncio.gather(*(viewers.get("a page", fails) for _ in range(3)), return_exceptions=True)
    assert [str(one) for one in found] == ["no"] * 3


async def test_at_the_end_nothing_goes_on() -> None:
    looks, viewers = Looks(), Shared()
    asking = asyncio.create_task(viewers.get("a page", looks))
    await asyncio.sleep(0)
    await viewers.close()
    with pytest.raises(asyncio.CancelledError):
        await asking
