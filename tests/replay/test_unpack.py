"""Packed events, by @rrweb/packer and by PostHog, become plain ones; what does not unpack is rejected."""

import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay import unpack
from replay.plan import Claims, Plan, plan
from tests.replay.recordings import (
    META,
    START_MS,
    TOO_DEEP,
    decoded,
    envelope,
    events,
    payload,
    planned,
    sidecar,
    stored,
    values,
)

ZIP_BOMB = zlib.compress(b'{"v":"v1","type":0,"timestamp":1,"x":"' + b" " * (70 << 20) + b'"}', 9)


def latin_1(packed: bytes) -> bytes:
    """Bytes as a JSON string of latin-1 characters, as JSON.stringify writes it."""
    return json.dumps(packed.decode("latin-1"), ensure_ascii=False).encode()


def packer(event: bytes) -> bytes:
    return latin_1(zlib.compress(event))


def posthog(value: bytes) -> bytes:
    return latin_1(gzip.compress(value, mtime=0))


def marked(event: bytes) -> bytes:
    return event[:-1].rstrip() + b',"v":"v1"}'


def only_event(plan: Plan) -> bytes:
    return decoded(stored(plan).frame)[1:-1]


def reason(event: bytes) -> str:
    done = planned([META % 1, event])
    (rejected,) = sidecar(done)["rejected"]
    assert rejected["event"] == json.loads(event)
    return str(rejected["reason"])


@given(events().map(marked))
def test_a_packed_event_is_stored_as_what_was_packed(event: bytes) -> None:
    assert only_event(planned([packer(event)])) == event


@given(events())
def test_a_string_may_be_the_events_json_itself(event: bytes) -> None:
    string = b'"' + event.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n").replace(
        b"\r", b"\\r"
    ).replace(b"\t", b"\\t") + b'"'  # fmt: skip
    assert only_event(planned([string])) == event


@given(values, values)
def test_a_posthog_snapshot_changes_only_in_its_data(node: bytes, extra: bytes) -> None:
    before = b'{ "type":2, "x":%b, "data" : ' % extra
    after = b' ,"cv":"2024-10", "timestamp":%d}' % START_MS
    data = b'{"node":%b}' % node
    assert only_event(planned([before + posthog(data) + after])) == before + data + after


@given(st.lists(values, max_size=3))
def test_a_posthog_mutation_changes_only_in_its_packed_lists(items: list[bytes]) -> None:
    plain = b"[" + b",".join(items) + b"]"
    event = b'{"timestamp":%d,"type":3,"cv":"2024-10","data":{"source":0,"texts":%b,"attributes":%b,"z":{"adds":"no"},"adds":%b,"removes":[]}}'
    got = only_event(planned([event % (START_MS, posthog(plain), posthog(b"[]"), posthog(plain))]))
    assert got == event % (START_MS, plain, b"[]", plain)


def test_a_posthog_style_sheet_rule_is_unpacked() -> None:
    event = b'{"timestamp":1,"type":3,"cv":"2024-10","data":{"source":8,"adds":%b}}'
    assert only_event(planned([event % posthog(b'[{"rule":"a{}"}]')])) == event % b'[{"rule":"a{}"}]'


@pytest.mark.parametrize(
    "event",
    [
        b'{"timestamp":1,"type":2,"cv":"2024-10","data":{"node":{}}}',
        b'{"timestamp":1,"type":3,"cv":"2024-10","data":{"source":0,"adds":[]}}',
        b'{"timestamp":1,"type":3,"cv":"2024-10","data":{"source":2,"adds":"not packed"}}',
        b'{"timestamp":1,"type":5,"cv":"2024-10","data":"custom"}',
        b'{"timestamp":1,"type":3,"cv":"2099-01","data":{"source":0,"adds":"unknown"}}',
        b'{"timestamp":1,"type":3,"cv":{"a":1},"data":{"source":0,"adds":[]}}',
    ],
)
def test_what_is_not_packed_is_left_alone(event: bytes) -> None:
    assert only_event(planned([event])) == event


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (latin_1(b"no zlib"), "bad_pack"),
        (packer(b'{"type":0,"timestamp":1}'), "bad_pack"),
        (packer(b'{"type":0,"timestamp":1,"v":"v2"}'), "bad_pack"),
        (packer(b'{"type":0,"timestamp":1,"v":"v1"'), "bad_pack"),
        (packer(b'["v1"]'), "bad_pack"),
        (packer(b'{"type":0,"timestamp":1,"v":"v1","x":"\xff"}'), "bad_pack"),
        (latin_1(zlib.compress(b'{"v":"v1"}')[:-1]), "bad_pack"),
        (latin_1(zlib.compress(b'{"v":"v1"}') + b"x"), "bad_pack"),
        ('"\N{PILE OF POO}"'.encode(), "bad_pack"),
        (b'""', "bad_pack"),
        (b'"{}"', "missing_type"),
        (b'"{\\"type\\":0,\\"timestamp\\":1"', "bad_pack"),
        (packer(b'{"v":"v1","type":0}'), "missing_timestamp"),
        (packer(b'{"v":"v1","x":' + TOO_DEEP + b"}"), "too_deep"),
        (b'{"timestamp":1,"type":2,"cv":"2024-10","data":%b}' % posthog(b"[]"), "bad_pack"),
        (b'{"timestamp":1,"type":2,"cv":"2024-10","data":"plain"}', "bad_pack"),
        (b'{"timestamp":1,"type":2,"cv":"2024-10"}', "missing_data"),
        (b'{"timestamp":1,"type":2,"cv":"2024-10","data":1}', "bad_data"),
        (b'{"timestamp":1,"type":3,"cv":"2024-10","data":{"source":0,"adds":%b}}' % posthog(b"{}"), "bad_pack"),
        (latin_1(ZIP_BOMB), "too_large"),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_what_does_not_unpack_is_rejected(event: bytes, why: str) -> None:
    assert reason(event) == why


def test_what_events_unpack_to_is_capped_together() -> None:
    one = packer(b'{"v":"v1","type":0,"timestamp":1,"x":"' + b" " * 4000 + b'"}')
    done = plan([payload(envelope([one] * 5))], Claims(), max_bytes=10_000)
    assert (done.account.stored, done.account.rejected) == (2, 3)
    assert {rejected["reason"] for rejected in sidecar(done)["rejected"]} == {"too_large"}
    assert unpack.EVENT_MAX_BYTES >= 19 << 20, "events up to 19 MB are real"
