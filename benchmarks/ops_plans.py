"""The plans of the statements by which operators are answered, as Postgres makes them for a million jobs."""

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import event, text

from models import acting, answers, conservation, filters, lives, overview, tenant_load
from models.action import Verb
from models.db import Database
from models.filters import JobFilter, Wanted
from models.job import JobKind

FINGERPRINT = "0123456789abcdef"
TABLES = {"job", "tenant", "accepted_tally", "recording", "tally"}
"""What an answer never reads whole, where there is an index; of a few rows Postgres by itself would."""


async def check_plans(database_url: str, *, many: bool) -> None:
    """Raises AssertionError if a statement of an answer would read all jobs; of `many`, even if that were allowed."""
    asked: list[tuple[str, Any]] = []
    db = Database(database_url, pool_size=1)

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(db.engine.sync_engine, "before_cursor_execute", note)
    found = [JobFilter(kind=kind, state=state) for kind in (None, *JobKind) for state in (None, *Wanted)]
    found += [JobFilter(tenant_id=UUID(int=1), state=state) for state in (None, *Wanted)]
    found += [JobFilter(error_code="no_valid_events"), JobFilter(fingerprint=FINGERPRINT)]
    found += [JobFilter(error="IS VALID", state=state) for state in (None, *Wanted)]
    found += [JobFilter(error="100%"), JobFilter(worker="worker-1:4711")]
    found += [JobFilter(older_than_s=43200), JobFilter(recording_id=UUID(int=1))]
    for jobs in found:
        await filters.listed(db, jobs, limit=26, before=None)
        if jobs != JobFilter() and jobs.state not in filters.OVER:
            for verb in Verb:
                await filters.preview(db, jobs, acting.applicable(verb))
    (job,) = await filters.listed(db, JobFilter(), limit=1, before=None)
    await answers.facts(db, job.id)
    await filters.job(db, job.id)
    await filters.attempts(db, job.id)
    await lives.life_of(db, job.recording_id)
    await lives.failures(db, {}, since_s=86400, limit=25)
    await overview.seen(db)
    for q in (None, "TENANT 77"):
        await tenant_load.by_name(db, q, limit=26, after=None)
        await tenant_load.by_name(db, q, limit=26, after=UUID(int=1))
        await tenant_load.by_backlog(db, q, limit=25)
    await tenant_load.one(db, UUID(int=1))
    await conservation.conservation(db, hours=24, days=31)
    event.remove(db.engine.sync_engine, "before_cursor_execute", note)
    for seqscan in ("off", "on") if many else ("off",):
        async with db.transaction() as session:
            connection = await session.connection()
            await session.execute(text(f"SET LOCAL enable_seqscan = {seqscan}"))
            for statement, parameters in asked:
                if statement.lstrip().startswith(("SELECT", "WITH")):
                    explained = f"EXPLAIN (FORMAT JSON) {statement}"
                    plan = (await connection.exec_driver_sql(explained, parameters)).scalar_one()
                    (read,) = msgspec.json.decode(plan) if isinstance(plan, str) else plan
                    scanned = _read_whole(read["Plan"])
                    whole = scanned & ({"job"} if seqscan == "on" else TABLES)
                    assert not whole, f"{statement} {parameters} reads all of {whole}: {read}"
    await db.close()


def _read_whole(plan: dict[str, Any], most: float = float("inf")) -> set[str]:
    """The tables that a plan reads from end to end: not those that a limit above, which costs at most `most`, cuts short."""
    if plan["Node Type"] == "Limit":
        most = min(most, plan["Total Cost"])
    is_whole = plan["Node Type"] == "Seq Scan" and plan["Total Cost"] < 2 * most
    found = {plan["Relation Name"]} if is_whole else set()
    return found.union(*(_read_whole(below, most) for below in plan.get("Plans", ())))
