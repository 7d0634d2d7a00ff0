"""Seconds among milliseconds are scaled, exactly and only there; nothing else is."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.replay.recordings import META, SNAPSHOT, START_MS, decoded, planned, stored, values, warnings
from tests.replay.test_unpack import packer

START_S = START_MS // 1000


def tape(*events: bytes) -> bytes:
    return decoded(stored(planned(events)).frame)


@given(st.integers(START_S - 100, START_S + 100), st.from_regex(r"\A(\.[0-9]{1,9})?\Z"), values)
def test_seconds_become_exact_milliseconds_and_all_else_stays(
    seconds: int, fraction: str, extra: bytes
) -> None:
    span = (
        b'{"type":5, "timestamp" : %b ,"data":{"tag":"performanceSpan","timestamp":1795290301,"payload":%b}}'
    )
    sent = f"{seconds}{fraction}"
    events = tape(META % START_MS, SNAPSHOT % START_MS, span % (sent.encode(), extra))
    token = events.split(b'"timestamp" : ')[1].split(b" ,")[0]
    assert Decimal(token.decode()) == Decimal(sent) * 1000
    assert b"e" not in token.lower()
    assert span % (token, extra) in events


def test_scaled_events_take_their_place_in_time() -> None:
    span = b'{"type":5,"timestamp":%d.9685,"data":{}}' % START_S
    done = stored(planned([META % START_MS, SNAPSHOT % (START_MS + 1), span]))
    assert [json.loads(decoded(done.frame))[i]["type"] for i in range(3)] == [4, 5, 2]
    assert done.plan.duration_ms == 1
    assert done.plan.account.bytes == done.index.parts[0].json_bytes - 2


def test_a_scaled_event_may_be_packed() -> None:
    event = b'{"type":5,"timestamp":%d.25,"v":"v1"}'
    assert event.replace(b".25", b"250") % START_S in tape(META % START_MS, packer(event % START_S))


def test_only_custom_events_may_be_in_the_minority() -> None:
    spans = [b'{"type":5,"timestamp":%d}' % START_S] * 9
    assert stored(planned([META % START_MS, *spans])).plan.duration_ms < 1000


@pytest.mark.parametrize(
    "times", [(0, 50, 100), (1_900_000_001, 1_900_000_132), (START_S, START_S + 5), (-5, 0)]
)
def test_a_stream_that_is_relative_or_all_in_seconds_stays(times: tuple[int, ...]) -> None:
    events = [META % time for time in times]
    assert tape(*events) == b"[" + b",".join(events) + b"]"


def test_scaling_is_not_counted_as_disorder() -> None:
    span = b'{"type":5,"timestamp":%d}' % (START_S + 1)
    assert warnings(planned([META % START_MS, SNAPSHOT % START_MS, span])) == {}
