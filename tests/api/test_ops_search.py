"""GET /api/v1/ops/jobs by what an error says, and by the process that runs a job."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from models import lives
from models.db import Database
from models.recording import FailureCode
from models.retry import Failure, FailureKind
from tests.api.conftest import Process
from tests.api.operators import HOSTILE, OPS, dead, get, hostile
from tests.api.test_ops import ops as ops
from tests.api.test_ops_actions import act
from tests.factories import Deckhand, accepted
from tests.models.steps import claimed


def failing(message: str) -> Failure:
    return Failure(FailureKind.BAD_INPUT, FailureCode.NO_VALID_EVENTS, message)


async def found(client: httpx.AsyncClient, **params: Any) -> list[str]:
    return [one["recording_id"] for one in (await get(client, "/jobs", **params))["jobs"]]


async def test_jobs_are_found_by_what_their_error_says(
    ops: httpx.AsyncClient, hand: Deckhand, database: Database
) -> None:
    (full,) = await dead(database, hand, 1, failing(r"Disk \is 100% full_"))
    (other,) = await dead(database, hand, 1, failing("Disk is away"))
    await accepted(database, hand)
    assert await found(ops, error="disk") == [str(other), str(full)]
    assert await found(ops, error="DISK IS") == [str(other)]
    for literal, expected in (
        ("100%", [full]),
        ("full_", [full]),
        ("\\is", [full]),
        ("%", [full]),
        ("_", [full]),
        ("D%k", []),
        ("Dis_", []),
        (".*", []),
        ("'; --", []),
        ("/", []),
    ):
        assert await found(ops, error=literal) == [str(one) for one in expected], literal
    assert await found(ops, error="disk", state="dead", kind="process") == [str(other), str(full)]
    assert await found(ops, error="disk", state="done") == []


async def test_hostile_text_is_looked_for_as_it_is(
    ops: httpx.AsyncClient, hand: Deckhand, database: Database
) -> None:
    (id_,) = await dead(database, hand, 1, hostile())
    assert await found(ops, error=HOSTILE[:200]) == [str(id_)]
    assert await found(ops, error="<SCRIPT>") == [str(id_)]


async def test_an_action_is_about_what_the_error_says(
    ops: httpx.AsyncClient, hand: Deckhand, database: Database
) -> None:
    await dead(database, hand, 2, failing("Disk is full"))
    await dead(database, hand, 3, failing("Disk is away"))
    seen = await act(ops, "retry", {"error": "is FULL"}, dry_run=True)
    assert (seen.status_code, seen.json()["matched"]) == (200, 2)


async def test_what_a_process_runs_is_listed(
    ops: httpx.AsyncClient, hand: Deckhand, database: Database, process_it: Process
) -> None:
    done, running = [await accepted(database, hand) for _ in range(2)]
    await process_it(done)
    await claimed(database, running)
    await dead(database, hand)
    assert await found(ops, worker="a test") == [str(running)]
    assert await found(ops, worker="a test", state="running") == [str(running)]
    assert await found(ops, worker="test") == []
    assert await found(ops, worker="test", state="done") == [str(done)]
    seen = await act(ops, "discard", {"worker": "a test"}, dry_run=True)
    assert seen.json()["matched"] == 1


@pytest.mark.parametrize("name", ["error", "worker"])
@pytest.mark.parametrize("value", ["", "x" * 201, "a\0b"])
async def test_a_text_is_short_and_has_no_nul(ops: httpx.AsyncClient, name: str, value: str) -> None:
    listed = await ops.get(f"{OPS}/jobs", params={name: value})
    assert (listed.status_code, listed.json()["code"]) == (400, "validation_error")
    acted = await act(ops, "retry", {name: value}, dry_run=True)
    assert (acted.status_code, acted.json()["code"]) == (400, "validation_error")


async def test_a_search_that_takes_too_long_says_what_to_add(
    ops: httpx.AsyncClient, hand: Deckhand, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await dead(database, hand, 1, failing("Disk is full"))
    async with database.transaction() as session:
        await session.execute(text("UPDATE job SET error = repeat(error || md5(error), 4000000)"))
    monkeypatch.setattr(lives.bounded.__wrapped__, "__defaults__", (0.002,))
    answer = await ops.get(f"{OPS}/jobs", params={"error": "nothing"})
    assert (answer.status_code, answer.json()["code"]) == (422, "too_costly")
    assert "state=dead" in answer.json()["detail"]
