"""`/ops/find?q=`: from an id to the page of what has it."""

import re
from typing import Any
from uuid import UUID

from litestar import Response, get
from litestar.params import FromQuery
from litestar.response import Redirect

from app.pages.page import Page, PageRequest, document
from app.services import services_of
from models import find

SHOWN_CHARS = 200
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")


@get("/find")
async def find_it(request: PageRequest, q: FromQuery[str] = "") -> Response[Any]:
    """Leads on; or says what can be looked for, when that is nothing."""
    wanted = q.strip()
    if _FINGERPRINT.fullmatch(wanted):
        return Redirect(f"/ops/failures?fingerprint={wanted}&since_s=2678400", status_code=303)
    id_ = _id_of(wanted)
    what = await find.what(services_of(request).db, id_) if id_ else None
    if what is not None:
        return Redirect(f"/ops/{what}s/{id_}", status_code=303)
    values = {"wanted": wanted[:SHOWN_CHARS], "is_id": id_ is not None}
    return document(request, Page("find.html", "Find", values), status=404 if wanted else 200)


def _id_of(wanted: str) -> UUID | None:
    try:
        return UUID(wanted)
    except ValueError:
        return None


HANDLERS = (find_it,)
