"""Carrying actions out: the dispatcher's part of them. A bounded batch of each at a time, so that a large one holds up nobody."""

import structlog

from models import acting
from models.action import Action, ActionState, Verb
from models.db import Database
from models.lives import TooCostly

BATCH = 100

log = structlog.get_logger()


async def advance(db: Database, *, video_wait_s: float) -> None:
    """Do a batch of every action that is not over. Raises what the database raises, once each had its turn."""
    failed: Exception | None = None
    for action in await acting.active(db):
        try:
            await _advance(db, action, video_wait_s)
        except TooCostly:
            reason = "its filter takes too long: ask again with another, such as a kind or a recording"
            await acting.set_state(db, action.id, ActionState.FAILED, reason)
        except Exception as error:
            failed = error
    if failed is not None:
        raise failed


async def _advance(db: Database, action: Action, video_wait_s: float) -> None:
    if action.state is ActionState.CANARY:
        verdict = await acting.canary(db, action)
        if verdict is False:
            await acting.set_state(db, action.id, ActionState.STOPPED, "the first ones failed again")
            log.warning("action_stopped_by_its_canary", action_id=str(action.id))
        elif verdict:
            await acting.set_state(db, action.id, ActionState.RUNNING)
        return
    is_retry = action.verb is Verb.RETRY
    if action.state is ActionState.PENDING and is_retry and len(action.canary) >= acting.CANARY:
        await acting.set_state(db, action.id, ActionState.CANARY)
        return
    is_first = action.state is ActionState.PENDING and is_retry
    limit = acting.CANARY - len(action.canary) if is_first else BATCH
    step = await acting.step(db, action, limit=limit, video_wait_s=video_wait_s)
    await acting.wait_for(db, action, step.waits_for)
    if step.waits_for is not None:
        return
    if not step.came_by:
        await acting.set_state(db, action.id, ActionState.DONE)
        log.info("action_done", action_id=str(action.id))
    elif action.state is ActionState.PENDING and not is_first:
        await acting.set_state(db, action.id, ActionState.RUNNING)
