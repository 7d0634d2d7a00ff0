"""Rows of console_log and network_request that the custom events of live sessions have beside their own.

They say again, in the columns of a log, what the payload in custom_event says in whatever words its SDK has
(`replay.live_payload`); giving the event back takes no notice of them.
"""

from collections.abc import Iterator
from typing import Any

from replay.live_payload import (
    ARGS,
    ERROR_ARGS,
    ERROR_LEVEL,
    LEVEL,
    REQUEST_NAMES,
    REQUESTS,
    TRACE,
    Tag,
    first,
)
from replay.relations.columns import columns
from replay.relations.logs import CONSOLE, NETWORK, ConsoleLog, NetworkRequest
from replay.rrweb import EventType

Members = dict[str, Any]

_OF_REQUESTS = [column.member for column in columns(NetworkRequest)]


def live_rows(event_no: int, event: Members) -> Iterator[ConsoleLog | NetworkRequest]:
    """The rows that an event of a live session has beside its own."""
    data = event.get("data")
    if event.get("type") != EventType.CUSTOM or type(data) is not dict:
        return
    tag, payload = data.get("tag"), data.get("payload")
    if tag == Tag.CONSOLE:
        said = payload if type(payload) is dict else {}
        level = first(said, LEVEL)
        yield _console(event_no, level.lower() if type(level) is str else None, payload, ARGS)
    elif tag == Tag.ERROR:
        yield _console(event_no, ERROR_LEVEL, payload, ERROR_ARGS)
    elif tag == Tag.NETWORK_REQUEST:
        for position, request in enumerate(_requests(payload)):
            yield NETWORK.make((event_no, position), _known(request))


def _console(event_no: int, level: str | None, payload: Any, names: tuple[str, ...]) -> ConsoleLog:
    said = payload if type(payload) is dict else {}
    args = first(said, names) if any(name in said for name in names) else payload
    trace = first(said, TRACE)
    members = {
        "level": level,
        "args": args if type(args) is list else [args],
        "trace": trace.splitlines() if type(trace) is str else trace,
    }
    return CONSOLE.make((event_no, 0), _without_nulls(members))


def _requests(payload: Any) -> list[Members]:
    requests = payload.get(REQUESTS, [payload]) if type(payload) is dict else payload
    return [each for each in requests if type(each) is dict] if type(requests) is list else []


def _known(request: Members) -> Members:
    members = {name: request.get(name) for name in _OF_REQUESTS}
    for name, names in REQUEST_NAMES.items():
        members[name] = first(request, names)
    return _without_nulls(members)


def _without_nulls(members: Members) -> Members:
    return {name: value for name, value in members.items() if value is not None}
