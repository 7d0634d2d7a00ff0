"""Batches of live sessions for these tests, and what planning makes of them."""

import json
from collections.abc import Sequence
from typing import Any

import zstandard

from replay.live import decode_batch
from replay.plan import Claims, Plan, plan
from tests.replay.recordings import MIB

TIME_MS = 1_711_886_400_000
RRWEB_META = {
    "type": 4,
    "data": {"href": "https://x.example/", "width": 800, "height": 600},
    "timestamp": TIME_MS,
}


def live(event_type: str, data: object, time: int = TIME_MS, **members: Any) -> dict[str, Any]:
    """One event as an SDK sends it; `data` as its text, or as what its text is the JSON of."""
    text = data if isinstance(data, str) else json.dumps(data)
    return {"eventType": event_type, "eventData": text, "timestampMillis": time, **members}


def body(events: object, **members: Any) -> bytearray:
    sent = {"fingerprint": "f", "sessionId": "s", "events": events, **members}
    return bytearray(json.dumps(sent).encode())


def enveloped(sent: bytearray) -> bytearray:
    return bytearray(b"".join(decode_batch(sent).envelope))


def planned(*batches: Sequence[object], **how: Any) -> Plan:
    """The plan of a session that came in these batches."""
    payloads = [[zstandard.compress(enveloped(body(batch)))] for batch in batches]
    return plan(payloads, Claims(), max_bytes=64 * MIB, **how)
