"""A batch of a live session becomes an envelope of rrweb events, whatever its events hold; or it is told what is wrong."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.envelope import BadEnvelope, decode_accepted
from replay.faults import FAULTS_MAX
from replay.live import Batch, decode_batch
from replay.live_event import DEPTH_MAX
from tests.replay.live import body, enveloped, live

LAST_MS = 8_640_000_000_000_000


def became(event: dict[str, Any]) -> bytes:
    """What one event is in the envelope."""
    (found,) = decode_accepted(enveloped(body([event]))).events
    return bytes(found)


def faults(sent: bytes | bytearray) -> dict[str | None, str]:
    with pytest.raises(BadEnvelope) as refused:
        decode_batch(bytearray(sent))
    return dict(refused.value.faults)


def test_a_batch_says_whose_it_is() -> None:
    sent = body(
        [live("scroll", {}, 5000), live("scroll", {}, 4000)], fingerprint="me", sessionId="mine", more=1
    )
    before = bytes(sent)
    batch = decode_batch(sent).batch
    assert batch == Batch("me", "mine", False, 2, datetime(1970, 1, 1, 0, 0, 4, tzinfo=UTC))
    assert bytes(sent) == before
    assert decode_batch(body([live("x", "")], final=True)).batch.final
    assert not decode_batch(body([live("x", "")], final=None)).batch.final
    assert decode_batch(body([live("x", "", LAST_MS)])).batch.started_at is None
    envelope = decode_accepted(enveloped(sent))
    assert (envelope.open, envelope.started_at) == (True, batch.started_at)


def test_an_event_becomes_a_custom_event_around_its_own_bytes() -> None:
    event = live("navigation", '{"to":  "/a\\u0062",\n"n":1e-07}', url="https://x.example/é")
    assert (
        became(event)
        == (
            '{"type":5,"data":{"tag":"navigation","payload":{"to":  "/a\\u0062",\n"n":1e-07},'
            '"url":"https://x.example/é"},"timestamp":1711886400000}'
        ).encode()
    )
    assert b'"url"' not in became(live("x", "1", url=None))


@pytest.mark.parametrize(
    "text",
    ["hello", "", " ", "{", "{}x", "01", "NaN", "'a'", '"\t"', '{"a":1,}', "\ufeff{}", "\0", "\ud83d", "[\ud83d]"],
)  # fmt: skip
def test_what_is_no_json_is_kept_as_the_string_it_is(text: str) -> None:
    assert json.loads(became(live("note", text)))["data"] == {"tag": "note", "payload": text}


@pytest.mark.parametrize(
    "text",
    ["null", "0", "-0.0", "1e999", "9" * 5000, '"\\ud83d"', '["\\u0000"]', ' {"a":[]} ', '"\ud83d"', '["a\ud83d"]'],
    ids=lambda text: ascii(text)[:20],
)  # fmt: skip
def test_what_is_json_is_parsed(text: str) -> None:
    raw = became(live("note", text)).decode()
    assert raw.partition('"payload":')[2].removesuffix('},"timestamp":1711886400000}') == (
        text.strip().replace("\ud83d", "\\ud83d")
    )


@pytest.mark.parametrize("depth", [DEPTH_MAX, DEPTH_MAX + 1, 100_000])
@pytest.mark.parametrize("event_type", ["note", "rrweb"])
def test_what_is_nested_too_deeply_is_kept_as_a_string(event_type: str, depth: int) -> None:
    text = '{"a":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"
    wide = '{"a":[%s"[[["]}' % ("{}," * 1000)
    for given_text, is_kept in ((text, depth > DEPTH_MAX), (wide, False)):
        raw = became(live(event_type, given_text))
        value = raw if event_type == "rrweb" else raw.partition(b'"payload":')[2]
        assert value.startswith(b'"{' if is_kept else b"{")


def test_an_rrweb_event_is_the_text_that_came() -> None:
    text = '{"type":3, "data":{"source":3,"id":1,"x":0,"y":1e-7},"timestamp":17,"_sid":"a"}'
    assert became(live("rrweb", text)) == text.encode()
    assert became(live("rrweb", '"packed"')) == b'"packed"'
    assert became(live("rrweb", "xÚpacked")) == '"xÚpacked"'.encode()
    assert became(live("rrweb", "[1]")) == b'"[1]"'
    assert json.loads(became(live("rrweb", '{"a":"\ud83d"}'))) == {"a": "\ud83d"}


@given(
    st.text() | st.just("\ud83d"),
    st.sampled_from(["rrweb", "note"]),
    st.none() | st.text() | st.just("\udc00"),
    st.integers(0, LAST_MS),
)
def test_the_same_event_gives_the_same_bytes_in_any_batch_however_it_was_escaped(
    text: str, event_type: str, url: str | None, time: int
) -> None:
    event = live(event_type, text, time, url=url)
    others = [live("x", "\ud83d"), live("y", {})]
    alone = became(event)
    assert [bytes(one) for one in decode_accepted(enveloped(body([others[0], event, others[1]]))).events][
        1
    ] == alone
    if not any("\ud800" <= char <= "\udfff" for char in text + (url or "")):
        sent = {"events": [event], "sessionId": "s", "fingerprint": "f"}
        plain = bytearray(json.dumps(sent, ensure_ascii=False, indent=1).encode())
        assert bytes(decode_accepted(enveloped(plain)).events[0]) == alone


_NAME = "must not be blank"
_LONG = "must not be longer than 200 characters"
_GOOD = live("scroll", "{}")


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (body([_GOOD], sessionId=""), {"sessionId": _NAME}),
        (body([_GOOD], sessionId=" \t\u3000"), {"sessionId": _NAME}),
        (body([_GOOD], sessionId=None), {"sessionId": _NAME}),
        (body([_GOOD], sessionId=5), {"sessionId": "must be a string"}),
        (body([_GOOD], sessionId="s" * 201), {"sessionId": _LONG}),
        (body([_GOOD], sessionId="a\0"), {"sessionId": "must not contain NUL or unpaired surrogates"}),
        (body([_GOOD], fingerprint="\ud83d"), {"fingerprint": "must not contain NUL or unpaired surrogates"}),
        (b"{}", {"fingerprint": _NAME, "sessionId": _NAME, "events": "must not be empty"}),
        (body([]), {"events": "must not be empty"}),
        (body(None), {"events": "must not be empty"}),
        (body({}), {"events": "must be an array"}),
        (body([_GOOD, 5]), {"events[1]": "must be an object"}),
        (body([live(" ", "")]), {"events[0].eventType": _NAME}),
        (body([live("t" * 101, "")]), {"events[0].eventType": "must not be longer than 100 characters"}),
        (
            body([_GOOD, {"url": 5}]),
            {
                "events[1].eventType": _NAME,
                "events[1].eventData": "is required",
                "events[1].timestampMillis": "is required",
                "events[1].url": "must be a string",
            },
        ),
        (body([{**_GOOD, "eventData": {}}]), {"events[0].eventData": "must be a string"}),
        (body([{**_GOOD, "eventData": None}]), {"events[0].eventData": "is required"}),
        (
            bytes(body([live("x", "", 7)])).replace(b"7", b"9" * 5000),
            {"events[0].timestampMillis": f"must not be greater than {LAST_MS}"},
        ),
        (body([live("x", "", -1)]), {"events[0].timestampMillis": "must not be negative"}),
        (body([{**_GOOD, "timestampMillis": 1.5}]), {"events[0].timestampMillis": "must be an integer"}),
        (body([{**_GOOD, "timestampMillis": "1"}]), {"events[0].timestampMillis": "must be an integer"}),
        (body([{**_GOOD, "timestampMillis": True}]), {"events[0].timestampMillis": "must be an integer"}),
        (body([live("x", "", LAST_MS + 1)]), {"events[0].timestampMillis": f"must not be greater than {LAST_MS}"}),
        (body([_GOOD], final="true"), {"final": "must be true or false"}),
        (b"", {None: "malformed JSON at byte 0: the body ends too early"}),
        (b'{"events":[{]}', {None: "malformed JSON at byte 12: expected '\"'"}),
        (b"[]", {None: "Expected 'object', got 'array'"}),
        (b'{"a":"\xff"}', {None: "invalid UTF-8 at byte 6"}),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", {None: "nested too deeply"}),
    ],
    ids=lambda value: str(value)[:50],
)  # fmt: skip
def test_every_wrong_field_is_named(sent: bytes, told: dict[str | None, str]) -> None:
    assert faults(sent) == told


def test_not_more_is_told_than_anybody_reads() -> None:
    assert len(faults(body([{}] * 1000))) == FAULTS_MAX


_odd = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.just("\ud83d")
    | st.just([])
)
_maybe = st.fixed_dictionaries(
    {}, optional={"eventType": _odd, "eventData": _odd, "timestampMillis": _odd, "url": _odd}
)


@given(
    st.fixed_dictionaries(
        {},
        optional={"fingerprint": _odd, "sessionId": _odd, "events": _odd | st.lists(_maybe | _odd, max_size=3)}
        | {"final": _odd},
    )
)  # fmt: skip
def test_a_batch_is_accepted_or_told_of_its_fields(sent: dict[str, Any]) -> None:
    try:
        text = json.dumps(sent, allow_nan=False)
    except ValueError:
        return
    told: list[tuple[str | None, str]] = []
    try:
        decode_batch(bytearray(text.encode()))
    except BadEnvelope as bad:
        told = bad.faults
    assert all(field and message for field, message in told)


@given(st.binary(max_size=100))
def test_anything_else_is_refused(sent: bytes) -> None:
    assert faults(sent)
