"""`/ops/recordings/{id}`: what became of a recording, why it is not ready, and why it is as big as it is.

Never its content. One that is deleted while it is looked at changes into what is left of it, then into one that is purged.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from app import operating
from app.documents import timestamp
from app.errors import ApiError, Code, invalid, not_found
from app.ops import NOTHING, affordable
from app.ops_recording import recording_document
from app.ops_recording_documents import OperatedRecording
from app.pages.forms import acted, form_of, one
from app.pages.page import Page, PageRequest, show
from app.pages.timeline import picture
from app.services import Services, services_of
from models import answers, lives, whose
from models.action import Verb
from models.figures import OF_INPUT
from models.job import LIVE, JobState
from models.recording import Status

OPEN = {state.value for state in (*LIVE, JobState.DEAD)}
ANSWERED_MAX = 10  # jobs of one recording that are asked why


@dataclass(frozen=True)
class Owed:
    """A job that is not over, and why it is not running. `can_retry`: it died, and a retry may help."""

    id: str
    kind: str
    state: str
    why: str
    can_retry: bool


@get("/recordings/{recording_id:uuid}", include_in_schema=False)
async def recording(request: PageRequest, recording_id: FromPath[UUID]) -> Response[Any]:
    """A recording: its life, what is held of it, and what is to be done."""
    services = services_of(request)

    async def look() -> Page:
        try:
            seen = await recording_document(services, recording_id)
        except ApiError as error:
            if error.code is not Code.NOT_FOUND:
                raise
            return await _no_more(services, recording_id)
        return await _page(services, seen)

    return await show(request, look)


@post("/recordings/{recording_id:uuid}/retry", include_in_schema=False)
async def retry(request: PageRequest, recording_id: FromPath[UUID]) -> Response[Any]:
    """Try the job again that the form names, one of this recording. Raises ApiError."""
    services = services_of(request)
    named = one(form_of(request), "job")
    async with affordable(NOTHING):
        life = await lives.life_of(services.db, recording_id)
    if life is None:
        raise not_found()
    if named not in {moment.id for moment in life.moments if moment.what == "job"}:
        raise invalid("job", "must be a job of this recording")
    await operating.act(services, request.auth, UUID(named), Verb.RETRY)
    return acted(request, "It is tried again now, with fresh budgets.", next_=None)


async def _page(services: Services, seen: OperatedRecording) -> Page:
    now = timestamp(await lives.now(services.db))
    values = {
        "seen": seen,
        "now": now,
        "names": await whose.names(services.db, seen.project_id),
        "owed": await _owed(services, seen),
        "advice": _advice(seen),
        "picture": picture(seen.moments, now, deleted_at=seen.deleted_at),
        "shares": shares(seen.bytes_by_type),
    }
    return Page("recording.html", f"Recording {seen.name or seen.id}"[:80], values)


async def _no_more(services: Services, recording_id: UUID) -> Page:
    found = await whose.purged(services.db, recording_id)
    if found is None:
        raise not_found()
    values = {"id": recording_id, "purged": found, "at": timestamp(found.at)}
    values["now"] = timestamp(await lives.now(services.db))
    return Page("purged.html", "A purged recording", values)


async def _owed(services: Services, seen: OperatedRecording) -> list[Owed]:
    jobs = [one for one in seen.moments if one.what == "job" and one.state in OPEN]
    redis_away = bool(jobs) and await services.doorbell.is_away()
    found = []
    for job in jobs[:ANSWERED_MAX]:
        facts = await answers.facts(
            services.db,
            UUID(job.id),
            tenant_running_max=services.tenant_running_max,
            redis_away=redis_away,
        )
        if facts is not None and facts.state.value in OPEN:
            can_retry = facts.state is JobState.DEAD and seen.deleted_at is None
            why = answers.why_not_running(facts)
            found.append(Owed(job.id, facts.kind, facts.state.value, why, can_retry))
    return found


def _advice(seen: OperatedRecording) -> str | None:
    """What to do about a recording that failed; None about others."""
    if seen.status != Status.FAILED.value or seen.failure is None or seen.deleted_at is not None:
        return None
    if not seen.payload.parts and seen.tape is None:
        return "What was sent is not kept any more, so it cannot be tried again: have the client send it anew, or delete it."
    if seen.failure.code in OF_INPUT:
        return "What was sent is at fault: a retry helps only once what reads it has changed. Look at the attempt's error first."
    return "Nothing is lost: what was sent is kept. Mend what the attempt's error names, then retry."


def shares(by_type: dict[str, int]) -> list[tuple[str, int, float]]:
    """Types with their bytes and their share of all, the largest first."""
    total = sum(by_type.values())
    ordered = sorted(by_type.items(), key=lambda item: (-item[1], item[0]))
    return [(kind.replace("_", " "), size, size / total) for kind, size in ordered if total]


HANDLERS = (recording, retry)
