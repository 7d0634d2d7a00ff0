"""Examples for the OpenAPI document: what operators ask and do."""

from typing import Any

JOB_ID = "019a2b4c-1d7e-7c3a-9f10-5b6f2f1f9a02"
RECORDING_ID = "019a2b4c-1d7e-7c3a-9f10-5b6f2f1f9a01"
TENANT_ID = "019a2b4b-77aa-7d21-8a52-0c4e5d6f7a80"
ACTION_ID = "019a2b4c-1d7e-7c3a-9f10-5b6f2f1f9a03"
WORKER_ID = "019a2b4c-1d7e-7c3a-9f10-5b6f2f1f9a04"
FINGERPRINT = "8d3f0c5a1b2e4f67"
AT, LATER = "2026-05-04T10:00:00Z", "2026-05-04T10:00:02.5Z"
SENTENCE = "It failed (processing_failed) and waits for a retry until 2026-05-04 10:05:00Z."

OVERVIEW: dict[str, Any] = {
    "at": LATER,
    "counted_at": LATER,
    "queues": [
        {
            "kind": "process",
            "due": 12,
            "scheduled": 3,
            "running": 4,
            "dead": 1,
            "oldest_due_at": AT,
            "oldest_due_s": 2.5,
            "paused_at": None,
            "paused_by": None,
            "running_max": None,
            "tenant_running_max": 2,
            "retrying": 3,
        }
    ],
    "breakers": [{"dependency": "storage", "state": "closed", "reason": None, "opened_at": None}],
    "workers": 2,
    "dispatchers": 1,
    "redis": "there",
    "verdict": {
        "well": False,
        "summary": "2 process jobs gave up within the last hour, not because of what was sent.",
        "troubles": [
            {
                "severity": "warning",
                "code": "jobs_dead",
                "what": "2 process jobs gave up within the last hour, not because of what was sent.",
                "do": "See what their attempts failed of; then retry them.",
                "link": "/ops/jobs?kind=process&state=dead",
            }
        ],
    },
    "dependencies": [
        {"name": "database", "state": "ok", "latency_ms": 0.9, "error": None, "breaker": None},
        {
            "name": "storage",
            "state": "ok",
            "latency_ms": 24.1,
            "error": None,
            "breaker": {"dependency": "storage", "state": "closed", "reason": None, "opened_at": None},
        },
    ],
    "redis_state": {
        "policy": "noeviction",
        "fit": True,
        "used_bytes": 1_532_112,
        "max_bytes": None,
        "window": 64,
        "messages": {"process": 12},
    },
}
JOB: dict[str, Any] = {
    "id": JOB_ID,
    "kind": "process",
    "state": "scheduled",
    "tenant_id": TENANT_ID,
    "recording_id": RECORDING_ID,
    "claims": 1,
    "attempts": 1,
    "losses": 0,
    "outages": 0,
    "worker": None,
    "lease_until": None,
    "due_at": "2026-05-04T10:05:00Z",
    "error_code": "processing_failed",
    "created_at": AT,
    "finished_at": None,
}
JOBS = {"jobs": [JOB], "next_cursor": None}
ERROR = "ValueError: not a tape"
TRACEBACK = "Traceback (most recent call last):\n  …\nValueError: not a tape\n"
ATTEMPT: dict[str, Any] = {
    "number": 1,
    "worker": "worker-1:4711",
    "started_at": AT,
    "ended_at": LATER,
    "duration_ms": 2500,
    "outcome": "fault",
    "error_code": "processing_failed",
    "error": ERROR,
    "traceback": TRACEBACK,
    "place": "replay.tape:read",
    "fingerprint": FINGERPRINT,
}
DETAIL = {"job": JOB, "why": SENTENCE, "error": TRACEBACK, "attempts": [ATTEMPT]}
LIFE: dict[str, Any] = {
    "id": RECORDING_ID,
    "tenant_id": TENANT_ID,
    "status": "processing",
    "deleted_at": None,
    "moments": [
        {
            "at": AT,
            "to": LATER,
            "duration_ms": 2500,
            "what": "status",
            "id": "",
            "name": "uploading",
            "state": "accepted",
            "detail": None,
        },
        {
            "at": AT,
            "to": LATER,
            "duration_ms": 2500,
            "what": "attempt",
            "id": f"{JOB_ID}/1",
            "name": "process",
            "state": "fault",
            "detail": ERROR,
        },
    ],
    "more": False,
}
FAILURES = {
    "failures": [
        {
            "fingerprint": FINGERPRINT,
            "kind": "process",
            "error_code": "processing_failed",
            "place": "replay.tape:read",
            "attempts": 17,
            "jobs": 6,
            "recordings": 6,
            "tenants": 1,
            "first_at": AT,
            "last_at": LATER,
            "sample": ERROR,
            "traceback": TRACEBACK,
            "sample_job": JOB_ID,
        }
    ]
}
ORDER = {"verb": "retry", "filter": {"state": "dead", "fingerprint": FINGERPRINT}}
LIMITS = {"running_max": 8, "tenant_running_max": 2}
ACTION: dict[str, Any] = {
    "id": ACTION_ID,
    "who": "kim@example.com (Operations)",
    "verb": "retry",
    "filter": ORDER["filter"],
    "state": "canary",
    "reason": None,
    "matched": 412,
    "done": 3,
    "skipped": 0,
    "created_at": AT,
    "finished_at": None,
}
ACTIONS = {"actions": [ACTION], "next_cursor": None}
PREVIEW: dict[str, Any] = {
    "dry_run": True,
    "matched": 412,
    "at_least": False,
    "sample": [JOB_ID],
    "oldest_at": AT,
}
AUDIT: dict[str, Any] = {
    "entries": [
        {
            "id": ACTION_ID,
            "at": AT,
            "who": "kim@example.com (Operations)",
            "what": "retry begun",
            "subject": f"action {ACTION_ID}",
            "count": 412,
            "details": {"filter": ORDER["filter"]},
        }
    ],
    "next_cursor": None,
}
WORKERS: dict[str, Any] = {
    "workers": [
        {
            "id": WORKER_ID,
            "name": "worker-1:4711",
            "version": "0.1.0",
            "kinds": ["process", "relate"],
            "threads": 8,
            "running": 3,
            "state": "working",
            "started_at": AT,
            "heartbeat_at": LATER,
            "draining_by": None,
        }
    ]
}
PROCESSES: dict[str, Any] = {
    "processes": [
        WORKERS["workers"][0] | {"role": "worker", "host": "worker-1", "pid": 4711},
        {
            "id": "019a2b4c-1d7e-7c3a-9f10-5b6f2f1f9a05",
            "role": "dispatcher",
            "name": "dispatcher-1:12",
            "host": "dispatcher-1",
            "pid": 12,
            "version": "0.1.0",
            "kinds": [],
            "threads": 1,
            "running": 0,
            "state": "working",
            "started_at": AT,
            "heartbeat_at": LATER,
            "draining_by": None,
        },
    ]
}
CONSERVATION: dict[str, Any] = {
    "hours": [
        {
            "hour": "2026-05-04T10:00:00Z",
            "accepted": 1200,
            "ready": 1180,
            "failed": 3,
            "in_progress": 12,
            "deleted": 5,
            "missing": 0,
        }
    ],
    "days": [
        {
            "day": "2026-05-04",
            "accepted": 20110,
            "ready": 20060,
            "failed": 21,
            "in_progress": 12,
            "deleted": 17,
            "missing": 0,
        }
    ],
    "broken": [],
}
_WINDOW: dict[str, Any] = {
    "since": "2026-05-04T09:56:00Z",
    "ended": 1204,
    "done": 1200,
    "failed": 4,
    "ended_per_min": 298.5,
    "done_per_min": 297.5,
    "failed_share": 0.0033,
    "wait_ms": {"p50": 12.4, "p95": 61.0},
    "run_ms": {"p50": 84.1, "p95": 412.7},
}
RATES: dict[str, Any] = {
    "at": LATER,
    "since": "2026-05-04T09:01:00Z",
    "queues": [
        {
            "kind": "process",
            "minutes": {
                "ended": [*[300] * 59, 4],
                "done": [*[299] * 59, 4],
                "failed": [*[1] * 59, 0],
                "outcomes": {"done": [*[299] * 59, 4], "fault": [*[1] * 59, 0]},
            },
            "last_5_min": _WINDOW,
            "last_hour": _WINDOW
            | {"since": "2026-05-04T09:01:00Z", "ended": 17704, "done": 17645, "failed": 59},
        }
    ],
}
CHANGED = {"changed": True, "count": 1}
