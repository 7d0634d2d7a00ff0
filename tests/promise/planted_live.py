"""Batches of live sessions full of secrets: every type of event, in every place where an SDK may put one."""

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

from tests.factories import START_MS
from tests.promise.planted import HEADERS, PARAMETERS, PLACES, Planted, escaped, nested, percent

TYPES = (
    "dom_mutation",
    "mouse_click",
    "mouse_move",
    "scroll",
    "input",
    "navigation",
    "network_request",
    "console",
    "error",
    "visibility_change",
    "resize",
    "checkout_step",  # one of the SDK's own
)
PASSWORD_INPUTS: tuple[dict[str, Any], ...] = (
    {"selector": "#pw", "inputType": "password"},
    {"selector": "input[type=password]"},
    {"name": "new-password"},
    {"tagName": "INPUT", "type": "password", "id": "p"},
    {"selector": "#code", "autocomplete": "one-time-code"},
    {"element": {"tag": "input", "attributes": {"type": "password"}}},
)
BATCH = 60


def sessions(planted: Planted) -> Iterator[list[bytes]]:
    """The batches of each of some sessions."""
    for n, encode in enumerate((json.dumps, escaped, _json_of(percent), _json_of(nested))):
        numbers = count(START_MS)
        events = [
            event
            for tag in TYPES
            for text in planted.by_form(f"live {tag}")
            for event in (_event(tag, f'{{"said":[{encode(text)}]}}', next(numbers)),)
        ]
        if encode is json.dumps:
            events += [*_plain(planted, numbers), *_by_name(planted, numbers), *_wrapped(planted, numbers)]
        yield list(_batches(f"session {n}", events))


def _plain(planted: Planted, numbers: Iterator[int]) -> Iterator[dict[str, Any]]:
    """eventData that is no JSON; URLs of events."""
    for tag in TYPES:
        for text in planted.by_form(f"text of a live {tag}"):
            yield _event(tag, f"it said: {text}", next(numbers))
        for name in PARAMETERS:
            url = f"https://x.example/?{name}={planted.word(f'?{name}= in the url of a live {tag}')}"
            yield _event(tag, "{}", next(numbers), url=url)


def _by_name(planted: Planted, numbers: Iterator[int]) -> Iterator[dict[str, Any]]:
    """What only names make secret: headers, members, inputs."""
    word = planted.word
    for header in HEADERS:
        for name in ("requestHeaders", "responseHeaders", "headers"):
            data = {"url": "/", name: {header: word(f"{header} of a live request")}, "status": 200}
            yield _event("network_request", json.dumps(data), next(numbers))
            pairs = {
                "url": "/",
                name: [{"name": header, "value": word(f"{header} of a live request, listed")}],
            }
            yield _event("network_request", json.dumps(pairs), next(numbers))
    bodies = {
        "requestBody": json.dumps({"password": word("password in the body of a live request")}),
        "responseBody": f"user=me&password={word('password in a form of a live request')}",
    }
    yield _event("network_request", json.dumps({"url": "/", **bodies}), next(numbers))
    for tag in TYPES:
        data = {
            "accessToken": word(f"member of a live {tag}"),
            "deep": [{"password": word(f"deep in a live {tag}")}],
        }
        yield _event(tag, json.dumps(data), next(numbers))
    for which in PASSWORD_INPUTS:
        for value in ("value", "newValue", "text", "data"):
            data = {**which, value: word(f"typed into {which}")}
            yield _event("input", json.dumps(data), next(numbers))
    shown = {"selector": "#later", "value": word("typed before it is a password")}
    yield _event("input", json.dumps(shown), next(numbers))
    is_one = {"selector": "#later", "inputType": "password", "value": word("typed when it is a password")}
    yield _event("input", json.dumps(is_one), next(numbers))
    html = f'<input type="password" value="{word("value in the markup of a live mutation")}">'
    yield _event("dom_mutation", json.dumps({"html": html}), next(numbers))


def _wrapped(planted: Planted, numbers: Iterator[int]) -> Iterator[dict[str, Any]]:
    """rrweb events, whole and broken."""
    for name, place in PLACES.items():
        for text in planted.by_form(f"live {name}"):
            made = {"timestamp": next(numbers), **place(text)}
            yield _event("rrweb", json.dumps(made), made["timestamp"])
    for text in planted.by_form("an rrweb event that is none"):
        yield _event("rrweb", f"no event: {text}", next(numbers))


def _event(tag: str, data: str, time: int, **members: str) -> dict[str, Any]:
    return {"eventType": tag, "eventData": data, "timestampMillis": time, **members}


def _json_of(encode: Any) -> Any:
    return lambda text: json.dumps(encode(text))


def _batches(session: str, events: list[dict[str, Any]]) -> Iterator[bytes]:
    for start in range(0, len(events), BATCH):
        body = {"sessionId": session, "fingerprint": "fp", "events": events[start : start + BATCH]}
        yield json.dumps(body).encode()
