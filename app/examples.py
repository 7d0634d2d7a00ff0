"""Examples for the OpenAPI document: real requests and answers, in full."""

from typing import Any

from models.erasing import TABLES

RECORDING_ID = "019a2b4c-1d7e-7c3a-9f10-5b6f2f1f9a01"
NEXT_ID = "019a2b4b-77aa-7d21-8a52-0c4e5d6f7a88"

UPLOAD = {
    "name": "Login flow recording",
    "started_at": "2026-05-04T10:00:00Z",
    "ended_at": "2026-05-04T10:02:30Z",
    "duration_ms": 150000,
    "event_count": 2,
    "navigations": [{"url": "https://app.example.com/login", "timestamp_ms": 0}],
    "events": [
        {
            "type": 4,
            "data": {"href": "https://app.example.com/login", "width": 1280, "height": 720},
            "timestamp": 1777888800000,
        },
        {
            "type": 2,
            "data": {"node": {"type": 0, "childNodes": [], "id": 1}, "initialOffset": {"left": 0, "top": 0}},
            "timestamp": 1777888800012,
        },
    ],
    "console_logs": [{"level": "log", "args": ["Hello"], "timestamp": 1777888801000}],
    "client_info": {"browser": {"name": "Chrome", "version": "146"}},
}

CREATED = {"id": RECORDING_ID, "status": "uploading"}

SESSION = {
    "events": [
        {
            "type": 4,
            "data": {
                "href": "https://pages.example.com/state/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.html",
                "width": 1280,
                "height": 720,
            },
            "timestamp": 1678886400000,
            "delay": 0,
        },
        {
            "type": 2,
            "data": {"node": {"type": 0, "childNodes": [], "id": 1}, "initialOffset": {"left": 0, "top": 0}},
            "timestamp": 1678886400010,
            "delay": 10,
        },
    ],
    "consoleLogs": [{"level": "log", "args": ["Hello"], "timestamp": 1678886401000}],
    "networkLogs": [
        {
            "id": "fetch-1",
            "url": "https://api.example.com/cart",
            "method": "GET",
            "status": 200,
            "startTime": 100,
            "endTime": 300,
            "duration": 200,
            "timestamp": 1678886402000,
        }
    ],
    "clientInfo": {
        "browser": {"name": "Chrome", "version": "120.0.0.0"},
        "os": {"name": "Windows", "version": "10"},
        "device": {"type": "desktop"},
        "ip": "192.168.1.100",
    },
}
SAVED = {"message": "Recording saved successfully", "replayId": RECORDING_ID}

UPLOAD_URL = {
    "video_upload_url": "https://storage.googleapis.com/tapes/incoming/019a2b00-…/019a2b4c-…?X-Goog-Algorithm=…",
    "video_upload_expires_at": "2026-05-04T11:02:31Z",
}

CREATED_WITH_VIDEO = CREATED | UPLOAD_URL

BATCH = {
    "fingerprint": "sess_8f3a2c1b",
    "sessionId": "sess_8f3a2c1b",
    "events": [
        {
            "eventType": "navigation",
            "eventData": '{"from":"/home","to":"/checkout","method":"push"}',
            "url": "https://myapp.com/checkout",
            "timestampMillis": 1711886400000,
        }
    ],
}
INGESTED = {
    "success": True,
    "data": {"eventsReceived": 1},
    "meta": {"requestId": RECORDING_ID, "timestamp": "2026-03-31T12:00:05.123Z"},
}
CHUNK = {"seq": 0, "events": UPLOAD["events"]}
CHUNK_RECEIVED = {"id": RECORDING_ID, "seq": 0, "events_received": 2}
FINISHED = {"id": RECORDING_ID, "status": "processing"}

RECORDING = {
    "id": RECORDING_ID,
    "tenant_id": "019a2b00-0000-7000-8000-000000000001",
    "project_id": "019a2b00-0000-7000-8000-000000000002",
    "user_id": "019a2b00-0000-7000-8000-000000000003",
    "name": "Login flow recording",
    "status": "ready",
    "started_at": "2026-05-04T10:00:00Z",
    "ended_at": "2026-05-04T10:02:30Z",
    "duration_ms": 150000,
    "event_count": 1247,
    "has_video": True,
    "has_audio": True,
    "navigations": [{"url": "https://app.example.com/login", "timestamp_ms": 0}],
    "journey_id": None,
    "created_at": "2026-05-04T10:02:31.204Z",
    "updated_at": "2026-05-04T10:02:31.611Z",
    "source": "upload",
    "session_id": None,
    "fingerprint": None,
    "continues": None,
    "failure": None,
    "playable": True,
    "warnings": [
        {
            "code": "event_count_differs",
            "count": 1,
            "message": "The client counted 1247 events, 1248 were received.",
        }
    ],
    "events": {
        "received": 1248,
        "stored": 1247,
        "duplicate": 0,
        "rejected": 1,
        "bytes": 2301221,
        "stored_bytes": 180233,
    },
    "summary": {
        "clicks": 31,
        "inputs": 12,
        "scrolls": 8,
        "pages": 3,
        "active_ms": 41000,
        "console_errors": 1,
        "network_errors": 0,
        "viewport": {"width": 1280, "height": 720},
        "bytes_by_type": {"full_snapshot": 1398221, "mutation": 903000},
    },
    "masked": {},
    "video": {
        "duration_ms": 149800,
        "bytes": 5120331,
        "container": "webm",
        "codecs": ["vp9", "opus"],
        "has_audio": True,
    },
}

FAILED = RECORDING | {
    "status": "failed",
    "failure": {
        "code": "no_valid_events",
        "message": "None of the 3 events is valid.",
        "at": "2026-05-04T10:02:31.611Z",
    },
    "event_count": 3,
    "playable": None,
    "warnings": [],
    "events": None,
    "summary": None,
    "video": None,
}

AWAITING_VIDEO = RECORDING | {"status": "processing", "video": None}

STATUS = {
    "id": RECORDING_ID,
    "status": "processing",
    "failure": None,
    "has_video": True,
    "created_at": "2026-05-04T10:02:31.204Z",
    "updated_at": "2026-05-04T10:02:31.305Z",
}

LIST = {"recordings": [RECORDING], "next_cursor": NEXT_ID}

RETRIED = {"id": RECORDING_ID, "status": "processing"}
RELATING = {"id": RECORDING_ID, "status": "ready"}

CREDENTIALS = {"email": "kim@example.com", "password": "XFzb4wnA-36o9yPmfHYK"}
SIGNED_IN = {
    "user_id": "019a2b00-0000-7000-8000-000000000003",
    "email": "kim@example.com",
    "tenant_id": "019a2b00-0000-7000-8000-000000000001",
    "project_id": "019a2b00-0000-7000-8000-000000000002",
    "scopes": ["ingest", "read", "manage"],
    "csrf_token": "jH1u0Zk8pXlq7Yw2m3sVtB4nDgRcEaFoLi5TyKe6WxU",
}

HOLD = {"on_hold": True, "since": "2026-05-04T12:00:00Z"}
NO_HOLD = {"on_hold": False, "since": None}

ERASURE_PREVIEW = {"dry_run": True, "recordings": 1, "on_hold": 1, "bytes": 5301454}
ERASURE_RUNNING: dict[str, Any] = {
    "id": "019a2b60-3f1c-7a55-8d21-7c0f4e2b9d13",
    "state": "running",
    "subject": {"kind": "session_id", "value": "sess_8f3a2c1b"},
    "requested_at": "2026-05-04T12:00:00Z",
    "finished_at": None,
    "found": 0,
    "erased": 0,
    "held": 0,
    "on_hold": [],
    "certificate": None,
}
ERASURE_DONE = ERASURE_RUNNING | {
    "state": "done",
    "finished_at": "2026-05-04T12:00:04.120Z",
    "found": 2,
    "erased": 1,
    "held": 1,
    "on_hold": [NEXT_ID],
    "certificate": {
        "verified_at": "2026-05-04T12:00:04.120Z",
        "tables": list(TABLES),
        "tallies": {
            "before": {"recordings": 1, "purged": 0},
            "after": {"recordings": 0, "purged": 1},
            "unchanged": True,
        },
        "recordings": [
            {
                "id": RECORDING_ID,
                "accepted_at": "2026-05-04T10:02:31.204Z",
                "deleted_at": "2026-05-04T12:00:00.310Z",
                "purged_at": "2026-05-04T12:00:00.902Z",
                "objects": 3,
                "verified_at": "2026-05-04T12:00:04.101Z",
            }
        ],
        "next_cursor": None,
    },
}

MASK_ORDER = {
    "rules": {
        "patterns": [{"name": "order", "pattern": "ORD-[0-9]{6}"}],
        "selectors": [".salary", "[data-pii]"],
        "keys": ["ssn", "date_of_birth"],
    }
}

MASKING = {"id": RECORDING_ID, "status": "ready", "masking": "pending"}

MASK_DRY_RUN = {
    "dry_run": True,
    "masked": {"pattern:order": 1, "key": 1},
    "places": [
        {"where": "events[12].data.text", "rule": "pattern:order"},
        {"where": "console[0].args[1]", "rule": "key"},
    ],
}

EVENTS = UPLOAD["events"]

EVENT_LINES = (
    '{"type":4,"data":{"href":"https://app.example.com/login","width":1280,"height":720},"timestamp":1777888800000}\n'
    '{"type":5,"data":{"tag":"checkout","payload":{"step":2}},"timestamp":1777888800450}\n'
)

LOGS = {
    "console": UPLOAD["console_logs"],
    "network": [
        {
            "id": "fetch-1",
            "url": "https://api.example.com/cart",
            "method": "GET",
            "status": 200,
            "startTime": 100,
            "endTime": 300,
            "duration": 200,
            "timestamp": 1777888802000,
        }
    ],
    "client_info": UPLOAD["client_info"],
    "rejected": [{"index": 7, "reason": "missing_timestamp", "event": {"type": 3, "data": {"source": 1}}}],
}
