"""GET /api/v1/ops/rates: how fast queues go, as the API tells it; and what retries."""

from datetime import datetime, timedelta

from models.db import Database
from models.tenancy import Scope
from tests.api.conftest import Process
from tests.api.operators import dead, get
from tests.api.served import Served
from tests.api.tenants import new_key, new_tenant
from tests.factories import Deckhand, accepted
from tests.models.steps import FAULT, claimed, settle


async def test_rates_are_told(web: Served, hand: Deckhand, database: Database, process_it: Process) -> None:
    key = await new_key(database, await new_tenant(database), Scope.OPERATE)
    await dead(database, hand, 1)
    for _ in range(3):
        await process_it(await accepted(database, hand))
    async with web.client(key) as ops:
        told = await get(ops, "/rates")
    queues = {queue["kind"]: queue for queue in told["queues"]}
    minutes = queues["process"]["minutes"]
    assert {name: (len(minutes[name]), sum(minutes[name])) for name in ("ended", "done", "failed")} == {
        "ended": (60, 4),
        "done": (60, 3),
        "failed": (60, 1),
    }
    assert {name: sum(counts) for name, counts in minutes["outcomes"].items()} == {"done": 3, "bad_input": 1}
    window = queues["process"]["last_5_min"]
    assert (window["ended"], window["done"], window["failed"], window["failed_share"]) == (4, 3, 1, 0.25)
    elapsed = datetime.fromisoformat(told["at"]) - datetime.fromisoformat(window["since"])
    assert window["done_per_min"] == round(3 / (elapsed / timedelta(minutes=1)), 3)
    assert window["wait_ms"]["p50"] <= window["wait_ms"]["p95"]
    assert 0 < window["run_ms"]["p50"] <= window["run_ms"]["p95"]
    assert queues["mask"]["last_hour"]["wait_ms"] is None
    assert queues["mask"]["minutes"]["ended"] == [0] * 60


async def test_what_was_tried_before_and_waits_retries(
    web: Served, hand: Deckhand, database: Database
) -> None:
    key = await new_key(database, await new_tenant(database), Scope.OPERATE)
    await accepted(database, hand, has_video=True)  # its deadline is scheduled, and was never tried
    again = await claimed(database, await accepted(database, hand))
    await settle(database, again, FAULT)
    async with database.autocommit() as connection:
        await connection.exec_driver_sql(
            "UPDATE job SET due_at = now() + interval '1 hour' WHERE attempts > 0"
        )
    async with web.client(key) as ops:
        seen = await get(ops, "/overview")
    counts = {queue["kind"]: (queue["scheduled"], queue["retrying"]) for queue in seen["queues"]}
    assert (counts["process"], counts["video_deadline"]) == ((1, 1), (1, 0))
