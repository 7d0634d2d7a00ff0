"""What is accepted at the door, and what each refusal says."""

import tracemalloc
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.envelope import BadEnvelope, decode_upload
from tests.replay.recordings import TOO_DEEP, envelope, values

EVENT = b'{"type":0,"timestamp":1}'


def refused(body: bytes) -> BadEnvelope:
    with pytest.raises(BadEnvelope) as caught:
        decode_upload(body)
    return caught.value


def test_a_full_envelope_is_decoded() -> None:
    got = decode_upload(
        envelope(
            [EVENT, b'"packed"'],
            name="Login",
            started_at="2026-05-04T12:00:00.250+02:00",
            ended_at="2026-05-04T10:02:30Z",
            duration_ms=150000,
            event_count=2,
            navigations=[{"url": "https://a.example/", "timestamp_ms": 1.5}],
            project_id="880e8400-e29b-41d4-a716-446655440000",
            has_audio=True,
            client_info={"ip": "::1"},
            console_logs=[{"level": "log"}],
            network_logs=None,
            unknown={"ignored": [1]},
        )
    )
    assert got.started_at == datetime(2026, 5, 4, 10, 0, 0, 250_000, tzinfo=UTC)
    assert got.ended_at == datetime(2026, 5, 4, 10, 2, 30, tzinfo=UTC)
    assert (got.name, got.duration_ms, got.event_count, got.has_audio) == ("Login", 150000, 2, True)
    assert [bytes(event) for event in got.events] == [EVENT, b'"packed"']
    assert got.navigations[0].timestamp_ms == 1.5
    assert got.client_info is not None
    assert bytes(got.client_info) == b'{"ip": "::1"}'
    assert len(got.console_logs) == 1
    assert got.network_logs == []


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"name": "x" * 501}, "name"),
        ({"name": 3}, "name"),
        ({"name": "a\0"}, "name"),
        ({"name": b'"\\ud83d"'}, "name"),
        ({"started_at": None}, "started_at"),
        ({"started_at": 1777888800}, "started_at"),
        ({"started_at": "2026-05-04T10:00:00"}, "started_at"),
        ({"started_at": "yesterday"}, "started_at"),
        ({"started_at": "0001-01-01T00:00:00+02:00"}, "started_at"),
        ({"ended_at": "2026-05-04T09:59:59Z"}, "ended_at"),
        ({"duration_ms": -1}, "duration_ms"),
        ({"duration_ms": 1.5}, "duration_ms"),
        ({"duration_ms": 2**64}, "duration_ms"),
        ({"duration_ms": b"9" * 5000}, "duration_ms"),
        ({"event_count": "3"}, "event_count"),
        ({"event_count": 2**63}, "event_count"),
        ({"navigations": {}}, "navigations"),
        ({"navigations": [{"url": 1, "timestamp_ms": 1}]}, "navigations[0].url"),
        ({"navigations": [{"url": "a", "timestamp_ms": 1}, {"url": "a"}]}, "navigations[1].timestamp_ms"),
        ({"navigations": [{"url": "\0", "timestamp_ms": 1}]}, "navigations[0].url"),
        ({"navigations": b'[{"url":"\\ude00","timestamp_ms":1}]'}, "navigations[0].url"),
        ({"navigations": b'[{"url":"","timestamp_ms":1e999}]'}, "navigations[0].timestamp_ms"),
        ({"project_id": "mine"}, "project_id"),
        ({"has_video": 1}, "has_video"),
        ({"open": "true"}, "open"),
        ({"console_logs": {}}, "console_logs"),
        ({"console_logs": [{}, "log"]}, "console_logs[1]"),
        ({"network_logs": [None]}, "network_logs[0]"),
        ({"client_info": []}, "client_info"),
    ],
)  # fmt: skip
def test_a_wrong_value_names_its_field(members: dict[str, Any], field: str) -> None:
    assert refused(envelope([EVENT], **members)).field == field


@pytest.mark.parametrize("event", [b"1", b"null", b"[]", b"true", b"-1.5"])
def test_an_event_is_an_object_or_a_string(event: bytes) -> None:
    assert refused(envelope([EVENT, EVENT, event])).field == "events[2]"


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        (b"", None, "malformed JSON at byte 0"),
        (b"{", None, "malformed JSON at byte 1"),
        (b'{"events":[{]}', None, "malformed JSON at byte 12"),
        (b'{"started_at":NaN}', None, "malformed JSON at byte 14"),
        (envelope([EVENT]) + b"x", None, "malformed JSON at byte 74"),
        (envelope([b'{"a":"\t"}']), None, "malformed JSON"),
        (envelope([b'{"a":01}']), None, "malformed JSON"),
        (b'{"name":"\xff"}', None, "invalid UTF-8 at byte 9"),
        (b'{"name":"' + b"x" * 70_000 + "é".encode()[:1] + b'"}', None, "invalid UTF-8 at byte 70009"),
        (b'{"name":"\xed\xa0\xbd"}', None, "invalid UTF-8 at byte 9"),
        (b"[]", None, "Expected 'object'"),
        (b"null", None, "Expected 'object'"),
        (b"{}", "started_at", "is required"),
        (b'{"started_at":"2026-05-04T10:00:00Z"}', "events", "is required"),
        (b'{"started_at":"2026-05-04T10:00:00Z","events":null}', "events", "Expected 'array'"),
        (envelope([]), "events", "must not be empty"),
        (envelope([b'{"a":' + TOO_DEEP + b"}"]), None, "nested too deeply"),
        (envelope([EVENT], x=TOO_DEEP), None, "nested too deeply"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_bad_body_is_told_what_is_wrong(body: bytes, field: str | None, message: str) -> None:
    error = refused(body)
    assert error.field == field
    assert message in error.message


@pytest.mark.parametrize("members", [{"has_video": True}, {"open": True}])
def test_events_may_be_empty_with_a_video_or_when_more_will_follow(members: dict[str, bool]) -> None:
    assert decode_upload(envelope([], **members)).events == []


@given(st.lists(values.map(lambda value: b'{"x":%b}' % value), min_size=1))
def test_events_are_slices_of_the_body_and_the_body_stays(events: list[bytes]) -> None:
    body = bytearray(envelope(events, name="x"))
    before = bytes(body)
    assert [bytes(event) for event in decode_upload(body).events] == events
    assert [bytes(event) for event in decode_upload(before).events] == events
    assert body == before


def test_a_body_of_unpaired_surrogates_takes_a_few_times_its_size() -> None:
    body = bytearray(envelope([b'{"type":0,"timestamp":1,"data":"%b"}' % (rb"\ud83d" * 200_000)]))
    before = bytes(body)
    tracemalloc.start()
    decode_upload(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert body == before
    assert peak < 4 * len(body)
