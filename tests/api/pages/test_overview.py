"""The overview: every number on it is one of the ledger's."""

import pytest
from sqlalchemy import text

from app.pages.environment import lasting
from models.db import Database
from models.job import JobKind
from models.processes import Role
from tests.api.conftest import Process
from tests.api.operators import HOSTILE, dead
from tests.api.pages.visitor import Visitor
from tests.factories import Deckhand, a_process, accepted
from tests.models.steps import FAULT, claimed, settle

PROCESS = f"queue-{JobKind.PROCESS.value}"


async def beats(db: Database, *roles: Role) -> None:
    """Processes of these roles are there."""
    async with db.transaction() as session:
        session.add_all([a_process(role, name=f"host:{role.value}") for role in roles])


async def later(db: Database) -> None:
    """What waits for its next attempt waits longer."""
    async with db.transaction() as session:
        await session.execute(
            text(
                "UPDATE job SET due_at = now() + interval '1 h', ring_at = now() + interval '1 h' WHERE attempts = 1 AND state = 'due'"
            )
        )


async def counted(db: Database, sql: str) -> int:
    async with db.autocommit() as connection:
        found: int = (await connection.execute(text(sql))).scalar_one()
        return found


async def test_an_empty_deck_with_all_its_processes_is_well(operator: Visitor, database: Database) -> None:
    await beats(database, Role.WORKER, Role.DISPATCHER)
    page = await operator.see("/ops")
    assert page.text.startswith("All is well: no recording is in progress.")
    assert page.told("accepted", "conservation") == "0 accepted"
    assert "adds up" in page.text


async def test_a_deck_without_a_dispatcher_says_what_to_do(operator: Visitor, database: Database) -> None:
    await beats(database, Role.WORKER)
    page = await operator.see("/ops")
    assert page.text.startswith("There is no dispatcher")
    assert "Start one." in page.text


async def test_its_numbers_are_those_of_the_ledger(
    operator: Visitor, database: Database, hand: Deckhand, process_it: Process
) -> None:
    await beats(database, Role.WORKER, Role.DISPATCHER)
    for _ in range(2):
        await process_it(await accepted(database, hand))
    await dead(database, hand, 3)
    await settle(database, await claimed(database, await accepted(database, hand)), FAULT)
    await later(database)
    running = await claimed(database, await accepted(database, hand))
    for _ in range(4):
        await accepted(database, hand)
    page = await operator.see("/ops")

    jobs = f"SELECT count(*) FROM job WHERE kind = '{JobKind.PROCESS}' AND "
    for what, where in {
        "due": "state = 'due' AND due_at <= now()",
        "running": "state = 'running'",
        "retrying": "state = 'due' AND due_at > now() AND attempts > 0",
        "dead": "state = 'dead'",
    }.items():
        assert page.told(what, PROCESS) == str(await counted(database, jobs + where)), what
    assert [page.told(what, PROCESS) for what in ("due", "running", "retrying", "dead")] == [
        "4",
        "1",
        "1",
        "3",
    ]
    ended = "SELECT count(*) FROM attempt WHERE ended_at IS NOT NULL"
    failed = await counted(database, ended + " AND outcome IN ('bad_input', 'fault', 'loss')")
    assert page.told("failed", PROCESS) == f"{failed / await counted(database, ended):.0%}".replace("%", " %")

    accepted_ = await counted(database, "SELECT sum(accepted)::bigint FROM accepted_tally")
    assert page.told("accepted", "conservation") == f"{accepted_} accepted"
    recordings = "SELECT count(*) FROM recording WHERE status "
    for what, where in {
        "ready": "= 'ready'",
        "failed": "= 'failed'",
        "in progress": "IN ('uploading', 'processing')",
    }.items():
        number = await counted(database, recordings + where)
        assert page.told(what, "conservation") == f"{number} {what}"
    assert "adds up" in page.text
    assert running


@pytest.mark.parametrize("verb", ["pause", "resume"])
async def test_a_queue_is_switched_without_javascript(
    operator: Visitor, database: Database, verb: str
) -> None:
    page = await operator.see("/ops")
    page = await operator.send(page, "/ops/queues/mask/pause")
    assert "mask is paused" in page.html
    assert "paused by ops@example.com" in page.text.replace("by ops", "paused by ops")
    if verb == "resume":
        page = await operator.send(page, "/ops/queues/mask/resume")
        assert "mask goes on" in page.html
        assert "mask goes on" not in (await operator.see("/ops")).html
    log = f"SELECT count(*) FROM audit_log WHERE what = '{verb}' AND subject = 'queue mask'"
    assert await counted(database, log) == 1


async def test_a_queue_is_limited_by_a_form(operator: Visitor, database: Database) -> None:
    form = await operator.see("/ops/queues/relate/limits")
    page = await operator.send(form, "/ops/queues/relate/limits", running_max="3", tenant_running_max="")
    assert "at most 3 at once" in page.text
    fields = form.form("/ops/queues/relate/limits")["fields"]
    for wrong in ("-1", "x", "1.5", "99999999999", "٣"):
        refused = await operator.client.post(
            "/ops/queues/relate/limits", data=fields | {"running_max": wrong}
        )
        assert refused.status_code == 400, wrong
        assert "running_max" in refused.text
    assert (await operator.client.get("/ops/queues/nope/limits")).status_code == 404


async def test_a_worker_is_drained_and_works_again(operator: Visitor, database: Database) -> None:
    await beats(database, Role.WORKER)
    id_ = await counted(database, "SELECT id FROM process WHERE role = 'worker'")
    page = await operator.send(await operator.see("/ops"), f"/ops/workers/{id_}/drain")
    assert "draining" in page.text
    page = await operator.send(page, f"/ops/workers/{id_}/resume")
    assert "draining" not in page.text


async def test_hostile_names_are_text(operator: Visitor, database: Database) -> None:
    async with database.transaction() as session:
        session.add(a_process(Role.WORKER, name=HOSTILE.replace("\0", "")))
    html = (await operator.see("/ops")).html
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html


async def test_rates_and_waits_are_those_of_the_ledger(
    operator: Visitor, database: Database, hand: Deckhand, process_it: Process
) -> None:
    await dead(database, hand)
    for _ in range(3):
        await process_it(await accepted(database, hand))
    waits = [await accepted(database, hand) for _ in range(2)]
    async with database.transaction() as session:
        for id_, hours in zip(waits, (2, 3), strict=True):
            due = text("UPDATE job SET due_at = now() - make_interval(hours => :h) WHERE recording_id = :id")
            await session.execute(due, {"h": hours, "id": id_})
    page = await operator.see("/ops")
    assert page.told("oldest", PROCESS) == "3.0 h"

    async def percentiles(what: str) -> str:
        both = (
            f"""percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY extract(epoch FROM {what}) * 1000)"""
        )
        async with database.autocommit() as connection:
            found = await connection.execute(text(f"SELECT {both} FROM attempt WHERE ended_at IS NOT NULL"))
            return " / ".join(lasting(ms) for ms in found.scalar_one()).replace("\u2009", " ")

    assert page.told("wait", PROCESS) == await percentiles("started_at - due_at")
    assert page.told("run", PROCESS) == await percentiles("ended_at - started_at")
    ended = await counted(database, "SELECT count(*) FROM attempt WHERE ended_at IS NOT NULL")
    assert f'aria-label="process: {ended} ended in the last hour, 1 of them failed"' in page.html
    a_minute = float(page.told("rate", PROCESS))
    assert ended / 5 - 0.05 <= a_minute <= ended / 4 + 0.05  # of five minutes, the last of which goes on


async def test_what_each_worker_runs_is_what_it_has_claimed(
    operator: Visitor, database: Database, hand: Deckhand
) -> None:
    await beats(database, Role.WORKER, Role.DISPATCHER)
    async with database.transaction() as session:
        await session.execute(text("UPDATE process SET name = 'a test', threads = 7 WHERE role = 'worker'"))
    for _ in range(2):
        await claimed(database, await accepted(database, hand))
    by = await counted(database, "SELECT count(*) FROM job WHERE state = 'running' AND worker = 'a test'")
    page = await operator.see("/ops")
    assert f"{by} of 7" in page.text
    async with database.autocommit() as connection:
        ids = (await connection.execute(text("SELECT id FROM job WHERE state = 'running'"))).scalars().all()
    assert {f"/ops/jobs/{id_}" for id_ in ids} <= set(page.links)
