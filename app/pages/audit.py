"""`/ops/audit`: who did what, when, to what, to how many."""

from collections.abc import Mapping
from typing import Any

from litestar import Response, get

from app.documents import timestamp
from app.ops import Cursor
from app.ops_answers import audit_of, page_of
from app.pages.environment import query
from app.pages.page import Page, PageRequest, show
from app.services import services_of
from app.troubles import PROCESSES
from models import action, lives

LINES = 50


@get("/audit", include_in_schema=False)
async def audit(request: PageRequest, cursor: Cursor = None) -> Response[Any]:
    """The audit log, newest first."""

    async def look() -> Page:
        db = services_of(request).db
        found = await action.log(db, limit=LINES + 1, before=cursor)
        page, after = page_of(found, LINES)
        lines = [(entry, place_of(entry.subject), told(entry.details)) for entry in map(audit_of, page)]
        now = timestamp(await lives.now(db))
        values = {"lines": lines, "now": now, "after": after, "is_first": cursor is None}
        return Page("audit.html", "Audit log", values)

    return await show(request, look)


def place_of(subject: str) -> str | None:
    """The page about what an operator did something to, as `models.action.audit` names it; None for what has none."""
    what, _, which = subject.partition(" ")
    match what:
        case "job":
            return f"/ops/jobs/{which}"
        case "action":
            return f"/ops/actions/{which}"
        case "queue":
            return "/ops/jobs" + query(kind=which)
        case "worker":
            return PROCESSES
        case _:
            return None


def told(details: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Details as (name, text): what is nested becomes `name.inner`, lists become what is in them."""
    found: list[tuple[str, str]] = []
    for name, value in details.items():
        if isinstance(value, Mapping):
            found += [(f"{name}.{inner}", text) for inner, text in told(value)]
        elif isinstance(value, list):
            found.append((name, ", ".join(map(str, value))))
        elif value is not None:
            found.append((name, str(value)))
    return found


HANDLERS = (audit,)
