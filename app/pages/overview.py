"""`/ops`: whether accepted recordings get through, and if not, why."""

from typing import Any

from litestar import Response, get

from app.ops import overview_document
from app.pages.page import Page, PageRequest, show
from app.services import services_of


@get("/", include_in_schema=False)
async def overview(request: PageRequest) -> Response[Any]:
    """The deck at a glance."""

    async def look() -> Page:
        return Page("overview.html", "Overview", {"seen": await overview_document(services_of(request))})

    return await show(request, look)


HANDLERS = (overview,)
"""For the router of `/ops`."""
