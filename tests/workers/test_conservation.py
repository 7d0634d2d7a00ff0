"""The dispatcher counts what was accepted, hour by hour, and says where something is missing."""

import asyncio

from sqlalchemy import text
from structlog.testing import capture_logs

from models import conservation
from models.db import Database
from settings import Settings
from tests.factories import Deckhand, accepted
from tests.workers.test_dispatcher import dispatching
from workers.tools import Tools

LOSE = "WITH p AS (DELETE FROM payload), j AS (DELETE FROM job RETURNING *) INSERT INTO job_history SELECT * FROM j"
DAYS_AGO = "INSERT INTO accepted_tally SELECT hour - interval '5 days', tenant_id, 0, 2 FROM accepted_tally"


async def test_what_vanished_is_an_alarm_that_names_the_hour_and_the_recordings(
    config: Settings, tools: Tools, database: Database, hand: Deckhand
) -> None:
    lost = await accepted(database, hand)
    async with database.transaction() as session:
        for statement in (LOSE, "DELETE FROM recording", DAYS_AGO):
            await session.execute(text(statement))
    with capture_logs() as logs:
        async with dispatching(config.model_copy(update={"conservation_s": 0.05}), tools):
            while len(broken := await conservation.broken_hours(database)) < 2:
                await asyncio.sleep(0.02)
    told = [line for line in logs if line["event"] == "conservation_broken"]
    assert {line["log_level"] for line in told} == {"error"}
    assert [(line["hour"], line["missing"], line["recordings"]) for line in told] == [
        (broken[0].hour.isoformat(), 1, [str(lost)]),
        (broken[1].hour.isoformat(), 2, []),
    ]
