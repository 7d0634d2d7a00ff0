"""`/ops/tenants`: who asks how much of the deck, and whose work waits for longest."""

from typing import Any
from uuid import UUID

from litestar import Response, get
from litestar.params import FromPath, FromQuery

from app.ops import Cursor
from app.ops_tenants import Sort, tenant_document, tenants_document
from app.pages.page import Page, PageRequest, show
from app.services import services_of
from models.filters import TEXT_CHARS

ROWS = 50


@get("/tenants", include_in_schema=False)
async def tenants(
    request: PageRequest, cursor: Cursor = None, q: FromQuery[str | None] = None, sort: Sort = "name"
) -> Response[Any]:
    """Tenants: by name, or those for whom something is due, the longest first."""
    wanted = (q or "").replace("\x00", "").strip()[:TEXT_CHARS] or None

    async def look() -> Page:
        services = services_of(request)
        seen = await tenants_document(
            services, limit=ROWS, cursor=None if sort == "backlog" else cursor, q=wanted, sort=sort
        )
        values = {"seen": seen, "q": wanted, "sort": sort, "is_first": cursor is None or sort == "backlog"}
        return Page("tenants.html", "Tenants", values | {"rows": ROWS})

    return await show(request, look)


@get("/tenants/{tenant_id:uuid}", include_in_schema=False)
async def tenant(request: PageRequest, tenant_id: FromPath[UUID]) -> Response[Any]:
    """A tenant: what it sends, what of that waits and failed, its limits and its projects."""

    async def look() -> Page:
        seen = await tenant_document(services_of(request), tenant_id)
        return Page("tenant.html", f"Tenant {seen.name}"[:80], {"seen": seen})

    return await show(request, look)


HANDLERS = (tenants, tenant)
