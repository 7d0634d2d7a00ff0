"""The operators' view of a recording, for the OpenAPI document, with an example."""

from typing import Any

from app.examples_ops import AT, LATER, LIFE, RECORDING_ID, TENANT_ID
from app.openapi_operation import operation, shown
from app.openapi_ops import HEADERS, JSON

TAPE = f"tapes/{TENANT_ID}/{RECORDING_ID}/019a2b4c-1d7e-7c3a-9f10-5b6f2f1f9a05.json.zst"
HELD: dict[str, Any] = LIFE | {
    "project_id": "019a2b4b-77aa-7d21-8a52-0c4e5d6f7a81",
    "name": "Login flow recording",
    "source": "upload",
    "created_at": AT,
    "updated_at": LATER,
    "is_open": False,
    "on_hold": False,
    "has_video": False,
    "failure": None,
    "payload": {"parts": 0, "bytes": 0, "kept_until": None},
    "tape": {
        "name": TAPE,
        "parts": 1,
        "events": 1247,
        "json_bytes": 2301221,
        "stored_bytes": 180233,
        "ratio": 12.77,
    },
    "objects": [
        {
            "name": TAPE,
            "kind": "tapes",
            "state": "live",
            "bytes": 180233,
            "created_at": AT,
            "expires_at": None,
        }
    ],
    "more_objects": False,
    "account": {"received": 1248, "stored": 1247, "duplicate": 0, "rejected": 1},
    "rejected": {"state": "told", "reasons": {"bad_timestamp": 1}},
    "masked": {"password_input": 2},
    "bytes_by_type": {"full_snapshot": 1398221, "mutation": 903000},
    "warnings": [{"code": "gap", "count": 1, "message": "For more than five minutes nothing was recorded."}],
    "rows": {"events": 1247, "made_at": LATER, "current": True},
}

RECORDING = operation(
    "Read a recording's life, and what is held of it",
    description="Sizes, counts, reasons and codes; nothing of what it shows.",
    headers=HEADERS,
    content={JSON: shown(recording=HELD)},
)
