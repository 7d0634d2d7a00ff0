"""The client of `benchmarks.ingest`: batches of live sessions, none of them like another, over kept connections."""

import json
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

from benchmarks.accept_load import drive
from benchmarks.ingest_batches import batch, session_name


class Load(NamedTuple):
    """What to send, where, and for how long. Each connection has one session at a time.

    A session's batches are numbered from `first` to before `end`; then comes another session, or, of a load that sends
    `once`, nothing more.
    """

    port: int
    request: str  # a file with a whole request, its body a template (`benchmarks.ingest_batches`)
    connections: int
    seconds: float
    sessions: str  # what their names begin with
    first: int
    end: int
    once: bool = False


def main() -> None:
    """Run the load that the first argument describes; print what `drive` says."""
    load = Load(*json.loads(sys.argv[1]))
    template = Path(load.request).read_bytes()
    drive(load.port, [_requests(load, template, at) for at in range(load.connections)], load.seconds)


def _requests(load: Load, template: bytes, connection: int) -> Iterator[bytes]:
    for session in [connection] if load.once else count(connection, load.connections):
        name = session_name(load.sessions, session)
        for number in range(load.first, load.end):
            yield batch(template, name, number)


if __name__ == "__main__":
    main()
