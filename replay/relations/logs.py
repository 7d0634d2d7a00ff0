"""Console and network logs, from wherever they come.

| origin | event_no | members |
|---|---|---|
| logs beside the events (the sidecar's) | NULL | as API.md has them: `args` |
| the recorder's plugins, event type 6 | the event | `data.payload`; of network, each of its `requests` |
| legacy events, source 11 | the event | `data` |
| custom events of live sessions | the event | what can be told of `data.payload` (`replay.relations.live`) |

Recorders call a console log's arguments `payload`.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, NamedTuple

from replay.relations.columns import Double, Flag, Integer, Json, Key, Kind, Rest, Text, Texts
from replay.relations.gathered import Gathered
from replay.relations.increment import Rows
from replay.relations.shape import Shape, make
from replay.relations.values import dump, parse


class ConsoleLog(NamedTuple):
    """What a page wrote to the console."""

    event_no: Annotated[int | None, Kind.KEY, "NULL: it came beside the events"]
    position: Annotated[Key, "among the logs of its event, or beside the events"]
    level: Text
    timestamp: Annotated[Double, "ms; of a plugin's log that of its event counts"]
    args: Json
    trace: Texts
    rest: Rest


class NetworkRequest(NamedTuple):
    """A request that a page made."""

    event_no: Annotated[int | None, Kind.KEY, "NULL: it came beside the events"]
    position: Annotated[Key, "among the requests of its event, or beside the events"]
    id: Annotated[Text, "the client's"]
    url: Text
    name: Annotated[Text, "the URL, where it is a performance entry"]
    method: Text
    status: Integer
    response_status: Integer
    start_time: Annotated[Double, "ms from the start of the page"]
    end_time: Double
    duration: Annotated[Double, "ms"]
    timestamp: Annotated[Double, "ms"]
    time_origin: Annotated[Double, "ms"]
    entry_type: Text
    initiator_type: Text
    next_hop_protocol: Text
    transfer_size: Annotated[Integer, "bytes"]
    encoded_body_size: Annotated[Integer, "bytes"]
    decoded_body_size: Annotated[Integer, "bytes"]
    is_initial: Flag
    request_headers: Json
    request_body: Text
    response_headers: Json
    response_body: Text
    error: Text
    rest: Rest


CONSOLE = Shape(ConsoleLog, given=2)
RECORDED_CONSOLE = Shape(ConsoleLog, given=2, members={"args": "payload"})
_LEGACY_CONSOLE = Shape(ConsoleLog, given=2, members={"args": "payload"}, ignored="source")
NETWORK = Shape(NetworkRequest, given=2)


def log_rows(console: Iterable[bytes], network: Iterable[bytes]) -> Iterator[ConsoleLog | NetworkRequest]:
    """The rows of logs that came beside the events, each a JSON text."""
    for position, log in enumerate(console):
        yield _row(CONSOLE, position, log)
    for position, request in enumerate(network):
        yield _row(NETWORK, position, request)


def log_of(row: ConsoleLog | NetworkRequest) -> bytes:
    """The JSON text of a log that came beside the events."""
    rest = None if row.rest is None else parse(row.rest.encode())
    if type(rest) is list and len(rest) == 1:  # no object
        return dump(rest[0]).encode()
    members = CONSOLE.members(row) if isinstance(row, ConsoleLog) else NETWORK.members(row)
    return dump(members).encode()


def _row(shape: Shape[Any], position: int, log: bytes) -> Any:
    value = parse(log)
    if type(value) is dict:
        return shape.make((None, position), value)
    blank = shape.read((None, position), {})[: shape.width]
    blank[-1] = dump([value])
    return make(shape.row, blank)


class LegacyLogs:
    """Source 11."""

    def rows(self, event_no: int, data: dict[str, Any]) -> Rows:
        row = _LEGACY_CONSOLE.make((event_no, 0), data)
        yield row._replace(rest=None)
        return row.rest

    def data_of(self, found: Gathered) -> dict[str, Any]:
        return _LEGACY_CONSOLE.members(found.one(ConsoleLog))
