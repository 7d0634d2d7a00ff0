"""A chunk of an open recording becomes an envelope of the same bytes, or is told what is wrong."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.chunk import Chunk, decode_chunk
from replay.envelope import BadEnvelope, decode_accepted
from tests.replay.recordings import values

EVENT = b'{"type":0,"timestamp":1}'


def body(events: list[bytes], **members: Any) -> bytearray:
    pairs = {"seq": 0, **members}
    rest = "".join(f',"{name}":{json.dumps(value)}' for name, value in pairs.items())
    return bytearray(b'{"events":[%b]%b}' % (b" , ".join(events), rest.encode()))


@given(st.lists(values.map(lambda value: b'{"x":%b}' % value) | st.just(b'"packed"'), min_size=1))
def test_events_are_stored_byte_for_byte(events: list[bytes]) -> None:
    sent = body(events, seq=2**53 - 1, console_logs=[{"level": "log"}], network_logs=None)
    before = bytes(sent)
    chunk, parts = decode_chunk(sent)
    assert bytes(sent) == before
    assert chunk == Chunk(2**53 - 1, len(events))
    envelope = decode_accepted(bytearray(b"".join(parts)))
    assert [bytes(event) for event in envelope.events] == events
    assert [bytes(log) for log in envelope.console_logs] == [b'{"level": "log"}']
    assert envelope.open
    assert envelope.network_logs == []


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"{}", {"seq": "is required", "events": "must not be empty"}),
        (b'{"seq":0}', {"events": "must not be empty"}),
        (body([]), {"events": "must not be empty"}),
        (b'{"seq":0,"events":5}', {"events": "must be an array"}),
        (body([EVENT], seq=-1), {"seq": "must not be negative"}),
        (body([EVENT], seq=2**53), {"seq": f"must not be greater than {2**53 - 1}"}),
        (body([EVENT], seq=1.5), {"seq": "must be an integer"}),
        (body([EVENT], seq=None), {"seq": "is required"}),
        (body([EVENT, b"5"]), {"events[1]": "must be an object, or a string that holds a packed event"}),
        (body([EVENT], console_logs={}), {"console_logs": "must be an array"}),
        (body([EVENT], network_logs=[{}, 5]), {"network_logs[1]": "must be an object"}),
        (b"{", {None: "malformed JSON at byte 1: the body ends too early"}),
        (b'"\xff"', {None: "invalid UTF-8 at byte 1"}),
    ],
    ids=lambda value: str(value)[:50],
)  # fmt: skip
def test_every_wrong_field_is_named(sent: bytes, told: dict[str | None, str]) -> None:
    with pytest.raises(BadEnvelope) as refused:
        decode_chunk(bytearray(sent))
    assert dict(refused.value.faults) == told
