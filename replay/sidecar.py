"""The sidecar: the object beside the tape that holds everything of a recording that is not playing.

One zstd frame of JSON, in exactly the shape that `GET …/logs` answers with::

    {"console": [...], "network": [...], "client_info": {...}, "rejected": [{"index": 0, "reason": "...", "event": ...}]}

`index` counts received events from 0; `event` is what was received, byte for byte (a packed event is a string). A log that is
not good (`replay.logs`) is there, too, after the events: its reason is `bad_console_log` or `bad_network_log`, and `index`
counts the received logs of its kind.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec
import zstandard
from msgspec import Raw

from replay import surrogates

_FLUSH_BYTES = 1 << 20


class RejectedEvent(msgspec.Struct, frozen=True, gc=False):
    """An event that was not stored, or a log, and why (`replay.events` names the reasons)."""

    index: int
    reason: str
    event: Raw


class Logs(msgspec.Struct, frozen=True):
    """What a sidecar holds of logs."""

    console: list[Raw]
    network: list[Raw]


class _Reason(msgspec.Struct):
    reason: str


class _Reasons(msgspec.Struct):
    rejected: list[_Reason]


_reasons = msgspec.json.Decoder(_Reasons)
_logs = msgspec.json.Decoder(Logs)


def read_logs(sidecar: bytes | bytearray) -> Logs:
    """The logs of a sidecar, as the JSON that its frame decodes to. Raises msgspec.DecodeError."""
    return surrogates.decode(_logs, bytes(sidecar))


def reasons(sidecar: bytes | bytearray) -> dict[str, int]:
    """How many events and logs were rejected for each reason, the most frequent first. Raises msgspec.DecodeError."""
    found = surrogates.decode(_reasons, bytes(sidecar)).rejected
    return dict(Counter(one.reason for one in found).most_common())


def write(
    console: Iterable[Raw],
    network: Iterable[Raw],
    client_info: Raw | None,
    rejected: Iterable[RejectedEvent],
    *,
    level: int,
) -> Iterator[bytes]:
    """The object's bytes."""
    chunker = zstandard.ZstdCompressor(level=level).chunker(chunk_size=_FLUSH_BYTES)
    for piece in _json(console, network, client_info, rejected):
        yield from chunker.compress(piece)
    yield from chunker.finish()  # type: ignore[no-untyped-call]


def _json(
    console: Iterable[Raw], network: Iterable[Raw], client_info: Raw | None, rejected: Iterable[RejectedEvent]
) -> Iterator[bytes | Raw]:
    yield b'{"console":['
    yield from _joined(console)
    yield b'],"network":['
    yield from _joined(network)
    yield b'],"client_info":'
    yield client_info if client_info is not None else b"{}"
    yield b',"rejected":['
    comma = b""
    for one in rejected:
        yield b'%b{"index":%d,"reason":"%b","event":' % (comma, one.index, one.reason.encode())
        yield one.event
        yield b"}"
        comma = b","
    yield b"]}"


def _joined(values: Iterable[Raw]) -> Iterator[bytes | Raw]:
    comma = b""
    for value in values:
        yield comma
        yield value
        comma = b","
