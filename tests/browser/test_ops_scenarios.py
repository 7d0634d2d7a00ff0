"""Nights of an operator, in Chromium: something breaks; the overview says it; it is mended by clicking, or by giving back what was
taken; and it is well again on the page that is open."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from uuid import UUID

import pytest
from playwright.async_api import expect
from redis.asyncio import Redis

from tests.browser.room import SOON_MS, Room
from tests.browser.stage import Stage
from tests.promise.dust import LARGE, keep_running, running

pytestmark = pytest.mark.timeout(240)  # real processes, killed and started, on whatever machine there is


@pytest.fixture
async def operator(night: Stage) -> AsyncIterator[Room]:
    """At the overview, which says that all is well."""
    async with night.operator() as entered:
        await entered.reads("All is well")
        yield entered


async def test_storage_away_is_told_and_nobody_has_to_do_more_than_give_it_back(
    night: Stage, operator: Room
) -> None:
    page = operator.page
    dependency = page.locator("#dependency-storage")
    async with operator.without_reload():
        with night.storage_away():
            first = await night.send()
            await operator.reads("Storage is away since")
            await expect(dependency).to_contain_text("open")
            waiting = await night.send(3)
            await operator.reads("wait for it.")
            await operator.picture("storage-away")
            async with night.operator() as other:
                await other.follows("jobs go on by themselves when it is back")
                await other.page.wait_for_url("**/ops/jobs?state=due")
                for id_ in waiting:
                    await expect(other.page.locator(f"main a[href='/ops/recordings/{id_}']")).to_be_visible()
        await night.are_ready(first + waiting)
        await expect(dependency).to_contain_text("closed")


async def test_a_poison_is_found_with_its_traceback_and_retried_when_its_cause_is_mended(
    night: Stage, operator: Room
) -> None:
    page = operator.page
    with night.folder_spoiled():
        (poison,) = await night.send()
        await operator.reads("1 process job gave up within the last hour")
        await expect(page.locator("#queue-process [data-is=dead]")).to_have_text("1")
        await operator.picture("poison")
        await operator.follows("See what their attempts failed of")
        await page.locator("tbody th a").click()
        await expect(page.locator(".why")).to_contain_text("It died of storage_unavailable")
        await page.locator("#attempt-2 summary").click()
        await expect(page.locator("#attempt-2 pre")).to_contain_text(
            "Refused: local storage: Not a directory"
        )
        await operator.picture("poison-job")
    await page.get_by_role("button", name="Retry now").click()
    await expect(page.locator(".heading .state")).to_have_text("done", timeout=SOON_MS)
    await page.get_by_role("definition").get_by_role("link", name=poison).click()
    await expect(page.locator("main")).to_contain_text("ready")
    await operator.to_overview()
    async with operator.without_reload():
        await expect(page.locator("#queue-process [data-is=dead]")).to_have_text("0")


async def test_a_damaged_payload_is_found_from_the_count_of_the_dead(night: Stage, operator: Room) -> None:
    page = operator.page
    await operator.page.locator("#queue-process").get_by_role("button", name="Pause").click()
    await expect(page.locator("#queue-process")).to_contain_text("paused")
    (damaged,) = await night.send()
    await night.sql("CREATE TABLE backup AS SELECT * FROM payload WHERE recording_id = :id", id=UUID(damaged))
    await night.sql("UPDATE payload SET data = 'not zstd' WHERE recording_id = :id", id=UUID(damaged))
    await page.locator("#queue-process").get_by_role("button", name="Resume").click()
    dead = page.locator("#queue-process [data-is=dead]")
    await expect(dead).to_have_text("1", timeout=SOON_MS)
    await dead.get_by_role("link").click()
    await page.locator("tbody th a").click()
    await expect(page.locator(".why")).to_contain_text("payload_unreadable")
    await night.sql(
        "UPDATE payload SET data = backup.data FROM backup WHERE backup.recording_id = payload.recording_id"
    )
    await night.sql("DROP TABLE backup")
    await page.get_by_role("button", name="Retry now").click()
    await expect(page.locator(".heading .state")).to_have_text("done", timeout=SOON_MS)
    await night.are_ready([damaged])
    await operator.to_overview()
    async with operator.without_reload():
        await expect(dead).to_have_text("0")


async def test_after_redis_was_flushed_it_is_rung_again(night: Stage, operator: Room) -> None:
    page = operator.page
    inside = page.locator("#redis")
    night.deck.kill("worker")
    async with operator.without_reload():
        ids = await night.send(3)
        await expect(inside).to_contain_text("process 3")
        async with Redis.from_url(night.valkey.url) as redis:
            await redis.flushall()
        await expect(inside).to_contain_text("nothing")
        await page.get_by_role("button", name="Ring again").click()
        await expect(page.locator("#notices")).to_contain_text("Rung again for 3 jobs")
        await expect(inside).to_contain_text("process 3")
        await night.deck.start("worker")
        await night.are_ready(ids)


async def test_while_redis_is_away_jobs_wait_and_go_on_by_themselves(night: Stage, operator: Room) -> None:
    page = operator.page
    async with operator.without_reload():
        night.valkey.kill()
        ids = await night.send(3)
        await operator.reads("Redis does not answer")
        await operator.picture("redis-away")
        await operator.follows("Start it, or see what its log says.")
        await expect(page.locator("#redis")).to_be_in_viewport()
        await expect(page.locator("#redis")).to_contain_text("Nothing is lost: jobs wait in Postgres")
        night.valkey.start()
        keeper = asyncio.create_task(keep_running(night.deck, "worker"))
        await night.are_ready(ids)
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper


async def test_a_killed_worker_is_missed_and_its_job_goes_to_the_next(night: Stage, operator: Room) -> None:
    page = operator.page
    (lost,) = await night.send(body=LARGE)
    await running(night.deck.database_url)
    night.deck.kill("worker")
    await expect(page.locator("#processes")).to_contain_text("silent", timeout=SOON_MS)
    await night.sql("UPDATE process SET heartbeat_at = heartbeat_at - interval '61 s' WHERE role = 'worker'")
    await operator.reads("There is no worker that begins process: 1 job waits.")
    await operator.picture("worker-killed")
    await operator.follows("Start one that takes them.")
    await expect(page.locator("#processes")).to_be_in_viewport()
    async with night.operator() as other, operator.without_reload():
        await other.page.locator("#queue-process [data-is=due]").get_by_role("link").click()
        await other.page.locator("tbody th a").click()
        attempt = other.page.locator("#attempt-1")
        await expect(attempt).to_contain_text("loss")
        await expect(attempt).to_contain_text("worker_lost")
        await night.deck.start("worker")
        await expect(other.page.locator("#attempt-2")).to_contain_text("done", timeout=SOON_MS)
        await night.are_ready([lost])
        await expect(page.locator("#processes tbody tr").filter(has_text="worker")).to_have_count(2)


async def test_a_queue_that_was_paused_and_forgotten_is_told_with_who_and_resumed(
    night: Stage, operator: Room
) -> None:
    page = operator.page
    queue = page.locator("#queue-process")
    await queue.get_by_role("button", name="Pause").click()
    await expect(page.locator("#notices")).to_contain_text("process is paused")
    ids = await night.send(2)
    await operator.reads("ops@example.com paused process")
    await night.sql("UPDATE queue SET paused_at = paused_at - interval '1 hour'")
    await operator.reads("ops@example.com paused process 60 min ago")
    await operator.reads("2 jobs wait.")
    await operator.picture("paused")
    await operator.follows("Resume it, unless there is still a reason.")
    await expect(queue).to_be_in_viewport()
    async with operator.without_reload():
        await queue.get_by_role("button", name="Resume").click()
        await expect(page.locator("#notices")).to_contain_text("process goes on.")
        await night.are_ready(ids)


async def test_many_are_retried_at_once_with_a_canary_while_a_second_operator_does_the_same(
    night: Stage, operator: Room
) -> None:
    page = operator.page
    with night.folder_spoiled():
        ids = await night.send(30)
        await operator.reads("30 process jobs gave up")
        await operator.picture("many-dead")
        await operator.follows("See what their attempts failed of")
        await page.get_by_role("link", name="Retry all that match").click()
        await page.get_by_role("button", name="Retry 30 jobs").click()
        await page.wait_for_url("**/ops/actions/*")
        await expect(page.locator("main")).to_contain_text("The first ones failed again", timeout=SOON_MS)
        await operator.picture("canary-failed")
    async with night.operator() as second:
        for one in (operator, second):
            await one.go("/ops/jobs?kind=process&state=dead")
            await one.page.get_by_role("link", name="Retry all that match").click()
            await expect(one.page.get_by_role("dialog", name="Retry 30 jobs?")).to_contain_text(
                "begins with 3"
            )
        for one in (operator, second):
            await one.page.get_by_role("button", name="Retry 30 jobs").click()
        await page.wait_for_url("**/ops/actions/*")
        await expect(page.locator("main")).to_contain_text("It is done", timeout=SOON_MS)
        await night.are_ready(ids)
        second.complaints.clear()  # Chromium's of the 409, if it was late
        await second.to_overview()
        await expect(second.page.locator("#queue-process [data-is=dead]")).to_have_text("0")
    await operator.to_overview()
    async with operator.without_reload():
        await night.five_minutes_pass()
