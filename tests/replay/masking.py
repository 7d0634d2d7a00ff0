"""Recordings with secrets, for tests of masking: small events, and what becomes of them."""

import json
from collections.abc import Iterable
from typing import Any

from replay.mask import Masker
from replay.plan import Claims, Plan, plan
from replay.privacy import Masking, Privacy
from tests.replay.recordings import MIB, START_MS, decoded, envelope, payload, stored

DEFAULT = Privacy()
STRICT = Privacy(Masking.STRICT)
META = {"type": 4, "data": {"href": "https://app.example.com/", "width": 1280, "height": 720}}
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"
CARD = "4111 1111 1111 1111"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----"


def masked(events: Iterable[Any], privacy: Privacy = DEFAULT, **members: Any) -> Plan:
    """The plan of a recording of these events, at one a second; events may be raw JSON."""
    raw = [
        event
        if isinstance(event, bytes)
        else json.dumps({"timestamp": START_MS + 1000 * i, **event}, separators=(",", ":")).encode()
        for i, event in enumerate(events)
    ]
    body = payload(envelope(raw, **members))
    return plan([body], Claims(), masker=Masker(privacy), max_bytes=512 * MIB)


def played(plan: Plan) -> list[Any]:
    events: list[Any] = json.loads(decoded(stored(plan).frame))
    return events


def custom(value: Any) -> dict[str, Any]:
    return {"type": 5, "data": {"tag": "t", "payload": value}}


def payload_of(value: Any, privacy: Privacy = DEFAULT) -> Any:
    """What becomes of a value in a custom event."""
    return played(masked([custom(value)], privacy))[0]["data"]["payload"]


def element(node: int, tag: str, *children: Any, **attributes: Any) -> dict[str, Any]:
    return {
        "type": 2,
        "tagName": tag,
        "attributes": {name.replace("_", "-"): value for name, value in attributes.items()},
        "childNodes": list(children),
        "id": node,
    }


def text(node: int, content: str) -> dict[str, Any]:
    return {"type": 3, "textContent": content, "id": node}


def snapshot(*nodes: Any) -> dict[str, Any]:
    body = element(4, "html", element(5, "body", *nodes))
    return {"type": 2, "data": {"node": {"type": 0, "childNodes": [body], "id": 1}, "initialOffset": {}}}


def typed(node: int, value: str) -> dict[str, Any]:
    return {"type": 3, "data": {"source": 5, "id": node, "text": value, "isChecked": False}}


def mutation(**data: Any) -> dict[str, Any]:
    return {
        "type": 3,
        "data": {"source": 0, "texts": [], "attributes": [], "removes": [], "adds": [], **data},
    }


def changed(node: int, **attributes: Any) -> dict[str, Any]:
    return mutation(attributes=[{"id": node, "attributes": attributes}])


def texts(plan: Plan) -> list[str]:
    """What Input events say."""
    return [event["data"]["text"] for event in played(plan) if event["data"].get("source") == 5]
