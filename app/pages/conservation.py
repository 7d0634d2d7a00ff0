"""`/ops/conservation`: whether every recording that was accepted is somewhere; if not, when, which, and what to do."""

from typing import Annotated, Any

from litestar import Response, get
from litestar.params import QueryParameter

from app.documents import timestamp
from app.ops import conservation_document
from app.pages.chart import bars_of
from app.pages.page import Page, PageRequest, show
from app.services import services_of
from models import lives

DAYS = 14
CHOICES = (24, 72, 168)
Hours = Annotated[int, QueryParameter(ge=1, le=168)]


@get("/conservation", include_in_schema=False)
async def conservation(request: PageRequest, hours: Hours = CHOICES[0]) -> Response[Any]:
    """The sums of the latest hours and days, and every hour that does not add up."""

    async def look() -> Page:
        services = services_of(request)
        seen = await conservation_document(services, hours=hours, days=DAYS)
        now = await lives.now(services.db)
        chart = bars_of(seen.hours, now, hours) if seen.hours else None
        values = {"seen": seen, "hours": hours, "choices": CHOICES, "now": timestamp(now), "chart": chart}
        return Page("conservation.html", "Conservation", values)

    return await show(request, look)


HANDLERS = (conservation,)
