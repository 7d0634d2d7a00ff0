"""A complete session becomes an envelope of the same bytes, whatever they are."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from replay.client import Client, client_of
from replay.envelope import BadEnvelope, decode_accepted
from replay.mask import Masker
from replay.plan import Claims, plan
from replay.privacy import Privacy
from replay.remask import remask_payload
from replay.session import NO_EVENTS, NO_HASH, decode_session
from tests.replay.recordings import MIB, decoded, sidecar, stored

HASH = "0123456789abcdef" * 4
META = b'{"type":4,"data":{"href":"https://x.example/%b.html"},"timestamp":7}' % HASH.encode()
CARD = "4111 1111 1111 1111"

_space = st.text(" \t\r\n", max_size=2).map(str.encode)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just("\ud83d"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())
_object = st.dictionaries(st.text(), st.integers() | st.text() | st.just("\ud83d"), max_size=3).map(
    lambda value: json.dumps(value).encode()
)


def body(events: list[bytes], space: bytes = b"", **members: bytes) -> bytearray:
    array = b"[" + (space + b"," + space).join(events) + b"]"
    pairs = [b'"%b"%b:%b%b' % (name.encode(), space, space, value) for name, value in members.items()]
    return bytearray(b"{" + b",".join([*pairs, b'"events":' + array]) + b"}" + space)


def enveloped(sent: bytearray) -> bytearray:
    return bytearray(b"".join(decode_session(sent).envelope))


@given(st.lists(_object, max_size=4), _json, _json, _json, _space)
def test_every_byte_of_events_and_logs_is_stored(
    events: list[bytes], console: bytes, network: bytes, info: bytes, space: bytes
) -> None:
    sent = body([META, *events], space, consoleLogs=console, networkLogs=network, clientInfo=info)
    before = bytes(sent)
    envelope = decode_accepted(enveloped(sent))
    assert bytes(sent) == before
    assert [bytes(event) for event in envelope.events] == [META, *events]
    for logs, raw in ((envelope.console_logs, console), (envelope.network_logs, network)):
        said = json.loads(raw)
        wanted = said if isinstance(said, list) else [] if said is None else [said]
        assert [json.loads(bytes(log)) for log in logs] == wanted
    assert (envelope.client_info and bytes(envelope.client_info)) == (info if info.startswith(b"{") else None)
    assert envelope.started_at == datetime.fromtimestamp(0.007, UTC)


@given(st.binary(max_size=200) | _json)
def test_anything_else_is_refused_with_one_of_two_messages(sent: bytes) -> None:
    with pytest.raises(BadEnvelope) as refused:
        decode_session(bytearray(sent))
    assert refused.value.message in (NO_EVENTS, NO_HASH)


@given(_json)
def test_whatever_a_client_says_of_itself_is_text_numbers_or_nothing(info: bytes) -> None:
    client = decode_session(body([META], clientInfo=info)).opening.client
    assert isinstance(client, Client)


@pytest.mark.parametrize(
    "info",
    [
        b'{"os":{"name":1e999}}',
        b'{"ip":"1.2.3"}',
        b'{"os":{"version":%b}}' % (b"9" * 5000),
        b"[" * 200 + b"]" * 200,
    ],
)
def test_what_cannot_be_read_says_nothing(info: bytes) -> None:
    assert decode_session(body([META], clientInfo=info)).opening.client == Client()


def test_a_viewport_goes_with_its_width() -> None:
    said = client_of(Raw(b'{"viewport":{"width":5}}'), [("x", 1), (-1, 2), (True, 2), (3, 4.4), (5, 6)])
    assert (said.viewport_width, said.viewport_height) == (3, 4)


def test_bad_logs_are_rejected_beside_the_events_and_their_secrets_masked() -> None:
    logs = json.dumps([{"level": "log"}, CARD, 5, ["a", {"password": "x"}]]).encode()
    sent = body([META, b'{"type":5}'], consoleLogs=logs, networkLogs=b'"Bearer abcdefgh"')
    planned = plan([[zstandard.compress(enveloped(sent))]], Claims(), masker=Masker(Privacy()), max_bytes=MIB)
    assert decoded(stored(planned).frame) == b"[" + META + b"]"
    assert (planned.account.received, planned.account.rejected) == (2, 1)
    found = sidecar(planned)
    assert found["console"] == [{"level": "log"}]
    assert [(one["index"], one["reason"]) for one in found["rejected"]] == [
        (1, "missing_timestamp"),
        (1, "bad_console_log"),
        (2, "bad_console_log"),
        (3, "bad_console_log"),
        (0, "bad_network_log"),
    ]
    told: list[Any] = [one["event"] for one in found["rejected"]]
    assert told[2] == 5
    assert told[3] == ["a", {"password": "*"}]
    assert not any(secret in json.dumps(told) for secret in (CARD, "abcdefgh"))


def test_a_kept_payload_with_bad_logs_can_be_masked() -> None:
    logs = json.dumps([{"level": "log"}, CARD, 5, json.dumps({"text": CARD})]).encode()
    payload = enveloped(body([META], consoleLogs=logs))
    assert remask_payload(payload, Masker(Privacy()))
    assert CARD.encode() not in payload
    assert len(decode_accepted(payload).console_logs) == 4
    assert remask_payload(payload, Masker(Privacy())) == {}
