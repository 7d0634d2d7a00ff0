"""A chunk of an open recording: the JSON object that `POST /recordings/{id}/events` carries becomes an envelope.

    {"seq": 0, "events": [ …rrweb events, or packed ones… ], "console_logs": […], "network_logs": […]}

Events and logs are stored byte for byte, as an upload's (`replay.envelope`).
"""

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta, Raw

from replay import faults, surrogates, utf8
from replay.batches import span
from replay.envelope import SAFE_INTEGER, BadEnvelope
from replay.faults import NULL, Fault, Members, Misfit, refusal

_BEGIN = b'{"started_at":"1970-01-01T00:00:00Z","open":true,"events":['  # the recording knows when it began
_OBJECT, _STRING = b'{"'


class Chunk(msgspec.Struct):
    """What a chunk says of itself: its number, from 0, and how many events it has."""

    seq: int
    events: int


class OpenChunk(NamedTuple):
    """A chunk, and the envelope that is stored of it, in parts; they are slices of the body."""

    chunk: Chunk
    envelope: list[bytes | memoryview]


class _Sent(msgspec.Struct):
    seq: Annotated[int, Meta(ge=0, le=SAFE_INTEGER)]
    events: Annotated[list[Raw], Meta(min_length=1)]
    console_logs: list[Raw] | None = None
    network_logs: list[Raw] | None = None


_decoder = msgspec.json.Decoder(_Sent)


def decode_chunk(body: bytearray) -> OpenChunk:
    """The chunk in `body`, which is changed while this runs, and is as before afterwards.

    Raises BadEnvelope, which tells of every field that is wrong (`replay.faults`).
    """
    if (offset := utf8.first_error(body)) is not None:
        raise BadEnvelope(f"invalid UTF-8 at byte {offset}")
    try:
        sent = surrogates.decode(_decoder, body)
        if not _begin(sent.events) <= {_OBJECT, _STRING} or not _begin(_logs(sent)) <= {_OBJECT}:
            raise Misfit
    except (msgspec.DecodeError, RecursionError, Misfit) as error:
        raise refusal(body, _faults, error) from None
    return OpenChunk(Chunk(sent.seq, len(sent.events)), _envelope(body, sent))


def _envelope(body: bytearray, sent: _Sent) -> list[bytes | memoryview]:
    start, end = span(body, sent.events)
    parts: list[bytes | memoryview] = [_BEGIN, memoryview(body)[start:end], b"]"]
    for name, logs in ((b"console_logs", sent.console_logs), (b"network_logs", sent.network_logs)):
        if logs:
            start, end = span(body, logs)
            parts += [b',"%b":[' % name, memoryview(body)[start:end], b"]"]
    return [*parts, b"}"]


def _logs(sent: _Sent) -> list[Raw]:
    return [*(sent.console_logs or ()), *(sent.network_logs or ())]


def _begin(values: list[Raw]) -> set[int]:
    return {memoryview(value)[0] for value in values}


def _faults(sent: Members) -> Iterator[Fault]:
    yield from faults.whole_number("seq", sent.get("seq", NULL), SAFE_INTEGER)
    yield from faults.events("events", sent.get("events", NULL))
    for field in ("console_logs", "network_logs"):
        yield from faults.objects(field, sent.get(field, NULL))
