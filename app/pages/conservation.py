"""`/ops/conservation`: whether every recording that was accepted is somewhere; if not, when, which, and what to do."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from litestar import Response, get
from litestar.params import QueryParameter

from app.documents import timestamp
from app.ops import conservation_document
from app.ops_documents import HourDocument
from app.pages.page import Page, PageRequest, show
from app.services import services_of
from models import lives

HOUR = timedelta(hours=1)
DAYS = 14
CHOICES = (24, 72, 168)
SERIES = (
    ("Accepted", "accent", "accepted"),
    ("In progress", "warn", "in_progress"),
    ("Failed", "bad", "failed"),
)

Hours = Annotated[int, QueryParameter(ge=1, le=168)]


@get("/conservation", include_in_schema=False)
async def conservation(request: PageRequest, hours: Hours = CHOICES[0]) -> Response[Any]:
    """The sums of the latest hours and days, and every hour that does not add up."""

    async def look() -> Page:
        services = services_of(request)
        seen = await conservation_document(services, hours=hours, days=DAYS)
        now = await lives.now(services.db)
        chart = json.dumps(chart_of(seen.hours, now, hours)) if seen.hours else None
        values = {"seen": seen, "hours": hours, "choices": CHOICES, "now": timestamp(now), "chart": chart}
        return Page("conservation.html", "Conservation", values)

    return await show(request, look)


def chart_of(found: Sequence[HourDocument], now: datetime, hours: int) -> dict[str, Any]:
    """Bars of each hour, also of those with nothing, for `pages.js`."""
    this = now.replace(minute=0, second=0, microsecond=0)
    by_hour = {datetime.fromisoformat(one.hour): one for one in found}
    each = [this - back * HOUR for back in reversed(range(hours))]
    series = [
        {
            "label": label,
            "colour": colour,
            "values": [getattr(by_hour.get(hour), name, 0) or None for hour in each],
        }
        for label, colour, name in SERIES
    ]
    return {"x": [int(hour.timestamp()) for hour in each], "series": series}


HANDLERS = (conservation,)
