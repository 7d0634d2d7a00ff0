"""Batches of a live session: 50 events, some 40 kB as JSON, as an SDK sends them; no two of them have the same bytes.

What differs from batch to batch, the session and the time, stands as a mark of the same length in a template, so that a
client makes the next batch with two replacements.
"""

import json
import random
from collections.abc import Iterator
from itertools import count, cycle, islice

from benchmarks.process_input import FIXTURES, read

EVENTS = 50
SESSION_MARK = b"@" * 24
SECOND_MARK = b"#" * 10
START_S = 1_711_886_400
EVENT_MS = 1000 // EVENTS
ROWS = 19  # of a table that appears, in each dom_mutation: they make the 40 kB

_TIME = "@TIME@"  # stands for a time until it is known which event it is of
_ROW = '<tr class="order-row" data-key="{1:016x}"><td>#{0}</td><td>Ordered</td><td class="price">{0}.50</td></tr>'
_RECORDED = ("shop.json", "tabs.json", "login.json")
_RECORDED_BYTES = range(90, 1500)


def template() -> bytes:
    """The body of a batch, with marks."""
    kinds = islice(cycle(_kinds()), EVENTS)
    events = [_event(number, kind, data) for number, (kind, data) in enumerate(kinds)]
    head = b'{"fingerprint":"fp_4c1d77e0","sessionId":"%b","events":[' % SESSION_MARK
    return head + b",".join(events) + b"]}"


def batch(of: bytes, session: str, number: int) -> bytes:
    """A template, or a request that holds one, with the session's name (24 characters) and its batch's number in place."""
    second = b"%0*d" % (len(SECOND_MARK), START_S + number)
    return of.replace(SESSION_MARK, session.encode()).replace(SECOND_MARK, second)


def session_name(prefix: str, number: int) -> str:
    """A name that has as many characters as its mark."""
    return f"{prefix}-{number:0{len(SESSION_MARK) - len(prefix) - 1}d}"


def _event(number: int, kind: str, data: str) -> bytes:
    stands_for = (SECOND_MARK + b"%03d" % (number * EVENT_MS)).decode()
    sent = {
        "eventType": kind,
        "eventData": data.replace(_TIME, stands_for),
        "url": "https://shop.example.com/checkout?step=2",
        "timestampMillis": _TIME,
    }
    return json.dumps(sent, separators=(",", ":")).replace(f'"{_TIME}"', stands_for).encode()


def _kinds() -> Iterator[tuple[str, str]]:
    """Type and data of events, a page's life: every second event is one of rrweb's."""
    rows = _rows()
    moves = [{"x": 300 + 7 * step, "y": 200 + 5 * step, "timeOffset": -50 * step} for step in range(10)]
    headers = {"content-type": "application/json", "accept": "*/*", "x-request-source": "checkout"}
    own = {
        "mouse_move": {"positions": moves},
        "mouse_click": {"x": 412, "y": 388, "button": 0, "target": "button#pay.btn.btn-primary"},
        "network_request": {"method": "POST", "url": "/api/orders", "status": 201, "headers": headers},
        "input": {"target": "input#street", "value": "Main Street 12", "isChecked": False},
        "scroll": {"x": 0, "y": 1240, "target": "document"},
        "console": {"level": "info", "args": ["order saved", {"id": 8812, "items": 3}]},
        "navigation": {"from": "/cart", "to": "/checkout", "method": "push"},
    }
    recorded = _recorded()
    for kind in ("mouse_move", "dom_mutation", "mouse_click", "dom_mutation", "network_request", "input",
                 "mouse_move", "dom_mutation", "scroll", "dom_mutation", "console", "dom_mutation",
                 "navigation"):  # fmt: skip
        data = own.get(kind) or {"target": "main > table#orders > tbody", "added": next(rows), "removed": []}
        yield kind, json.dumps(data, separators=(",", ":"))
        yield "rrweb", next(recorded)


def _rows() -> Iterator[str]:
    """The rows of a table that a page gets, again and again, never quite the same."""
    keys = random.Random(1)  # the same in every run
    for first in count(1000, ROWS):
        yield "".join(_ROW.format(number, keys.getrandbits(64)) for number in range(first, first + ROWS))


def _recorded() -> Iterator[str]:
    """rrweb events of our own recordings, with a mark for their time."""
    fitting = [
        (event[: at.start] + _TIME.encode() + event[at.end :]).decode()
        for name in _RECORDED
        for event, at, _ in read(FIXTURES / name)
        if len(event) in _RECORDED_BYTES
    ]
    return cycle(fitting)
