"""`/ops/conservation`: whether every recording that was accepted is somewhere; if not, when, which, and what to do."""

from typing import Annotated, Any

from litestar import Response, get
from litestar.params import QueryParameter

from app.documents import timestamp
from app.errors import ApiError, Code
from app.ops_answers import conservation_of
from app.pages.chart import bars_of
from app.pages.page import Page, PageRequest, show
from app.services import services_of
from models import lives
from models.conservation import broken_hours

CHOICES = (24, 72, 168)

_NOT_COUNTED = "The recordings could not be counted in time. Ask GET /api/v1/ops/conservation for fewer days."

Hours = Annotated[int, QueryParameter(ge=1, le=168)]


@get("/conservation", include_in_schema=False)
async def conservation(request: PageRequest, hours: Hours = CHOICES[0]) -> Response[Any]:
    """The sums of the latest hours and days, and every hour that does not add up. All who look share one count."""

    async def look() -> Page:
        services = services_of(request)
        known = await services.last_days.present()
        if known is None:
            raise ApiError(Code.TOO_COSTLY, _NOT_COUNTED)
        broken = await broken_hours(services.db)
        seen = conservation_of(known.latest(hours)._replace(broken=broken))
        now = await lives.now(services.db)
        values = {
            "seen": seen,
            "counted_at": timestamp(known.at),
            "hours": hours,
            "choices": CHOICES,
            "now": timestamp(now),
            "chart": bars_of(seen.hours, known.at, hours) if seen.hours else None,
        }
        return Page("conservation.html", "Conservation", values)

    return await show(request, look)


HANDLERS = (conservation,)
