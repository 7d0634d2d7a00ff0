"""The operations of operators on tenants, for the OpenAPI document, with examples."""

from typing import Any

from app.examples_ops import AT, LATER, TENANT_ID
from app.openapi_operation import operation, shown
from app.openapi_ops import HEADERS, JSON

WAITS = {"oldest_due_at": AT, "oldest_due_s": 2.5}
SOME = {"count": 12, "at_least": False}
TENANT_LOAD: dict[str, Any] = {
    "id": TENANT_ID,
    "name": "Example Inc.",
    "created_at": AT,
    "accepted_today": 1200,
    "accepted_30_days": 31417,
    "failed": {"count": 3, "at_least": False},
    "pending_bytes": {"count": 2301221, "at_least": False},
    "due": SOME,
    "running": 2,
    "dead": {"count": 1, "at_least": False},
    **WAITS,
}
LIST = {"at": LATER, "tenants": [TENANT_LOAD], "running_max": {"process": 2}, "next_cursor": None}
DETAIL: dict[str, Any] = TENANT_LOAD | {
    "at": LATER,
    "queues": [
        {
            "kind": "process",
            "due": SOME,
            "running": 2,
            "dead": {"count": 1, "at_least": False},
            **WAITS,
            "running_max": 2,
        }
    ],
    "recordings": {"uploading": 4, "processing": 10, "ready": 9983, "failed": 3, "at_least": True},
    "rate_limits": {
        "key_requests": 6000,
        "key_bytes": 1073741824,
        "project_requests": 60000,
        "project_bytes": None,
    },
    "projects": [
        {
            "id": "019a2b4b-77aa-7d21-8a52-0c4e5d6f7a81",
            "name": "Shop",
            "created_at": AT,
            "masking": "default",
            "relational": False,
            "retention_days": 90,
        }
    ],
    "more_projects": False,
}

TENANTS = operation(
    "List tenants",
    description="A page of tenants.",
    headers=HEADERS,
    content={JSON: shown(page=LIST)},
)
TENANT = operation(
    "Read a tenant",
    description="What it sends and what of it waits.",
    headers=HEADERS,
    content={JSON: shown(tenant=DETAIL)},
)
