"""Masking after the fact: what is stored goes through the mask again, and only what is masked changes."""

import json
import zlib
from collections.abc import Iterable

import msgspec
import pytest
import zstandard

from replay.envelope import BadEnvelope
from replay.mask import Masker
from replay.plan import Claims, plan
from replay.privacy import Masking, Pattern, Privacy, Rules
from replay.remask import Place, places, remask, remask_payload
from tests.replay.masking import CARD, META, custom, element, masked, snapshot, text, typed
from tests.replay.recordings import MIB, decoded, envelope, payload, sidecar_json, stored

OFF = Privacy(Masking.OFF)
EVENTS = [
    META,
    snapshot(element(6, "input", type="password", value="one"), element(7, "p", text(8, "ORD-1234"))),
    typed(6, "two"),
    custom({"a b": [f"card {CARD}"]}),
]
LOGS = {
    "console_logs": [{"level": "log", "args": ["x", CARD], "timestamp": 1}],
    "network_logs": [{"url": "/?token=abc", "status": 200}],
    "client_info": {"os": CARD},
}


def kept() -> tuple[bytearray, bytearray]:
    """Tape and sidecar of a recording that was not masked, decompressed; an event without a type is rejected."""
    before = masked([*EVENTS, b'{"timestamp":1,"data":{"text":"three"}}'], OFF, **LOGS)
    return bytearray(decoded(stored(before).frame)), bytearray(sidecar_json(before))


def test_what_is_stored_becomes_what_would_have_been_stored() -> None:
    tape, sidecar = kept()
    again = remask(tape, sidecar, Masker(Privacy()))
    at_once = masked([*EVENTS, b'{"timestamp":1,"data":{"text":"three"}}'], **LOGS)
    written = b"".join(again.tape())
    assert written == stored(at_once).object
    assert again.index == stored(at_once).index
    assert json.loads(decoded_sidecar(again.sidecar())) == json.loads(sidecar_json(at_once))
    assert again.masked == at_once.masked
    assert again.navigations == at_once.navigations


def decoded_sidecar(chunks: Iterable[bytes]) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(b"".join(chunks))


def test_masking_again_changes_nothing_more() -> None:
    tape, sidecar = kept()
    first = remask(tape, sidecar, Masker(Privacy()))
    frame, logs = b"".join(first.tape())[: first.index.frame_bytes], decoded_sidecar(first.sidecar())
    second = remask(bytearray(decoded(frame)), bytearray(logs), Masker(Privacy()))
    assert second.masked == {}
    assert b"".join(second.tape()) == b"".join(first.tape())


def test_an_event_that_no_tape_has_is_not_lost_but_refused() -> None:
    logs = bytearray(b'{"console":[],"network":[],"client_info":{},"rejected":[]}')
    with pytest.raises(BadEnvelope, match="not a tape's event"):
        remask(bytearray(b'[{"type":3}]'), logs, Masker(Privacy()))


def test_an_empty_tape_stays_one() -> None:
    again = remask(
        bytearray(b"[]"),
        bytearray(b'{"console":[],"network":[],"client_info":{},"rejected":[]}'),
        Masker(Privacy()),
    )
    assert (again.masked, again.navigations) == ({}, [])
    assert decoded(b"".join(again.tape())[: again.index.frame_bytes]) == b"[]"


def test_a_dry_run_tells_places_and_never_what_stands_there() -> None:
    rules = Rules((Pattern("order", "ORD-[0-9]{4}"),))
    found, where = places(*kept(), Masker(Privacy(rules=rules)), limit=100)
    assert found == {
        "card_number": 3,
        "url_parameter": 1,
        "password_input": 2,
        "unreadable": 1,
        "pattern:order": 1,
    }
    assert set(where) == {
        Place("events[1].data.node.childNodes[0].childNodes[0].childNodes[0].attributes.value", "password_input"),
        Place("events[1].data.node.childNodes[0].childNodes[0].childNodes[1].childNodes[0].textContent", "pattern:order"),
        Place("events[2].data.text", "password_input"),
        Place('events[3].data.payload["a b"][0]', "card_number"),
        Place("console[0].args[1]", "card_number"),
        Place("network[0].url", "url_parameter"),
        Place("client_info.os", "card_number"),
        Place("rejected[0].event", "unreadable"),
    }  # fmt: skip
    assert len(places(*kept(), Masker(Privacy()), limit=2)[1]) == 2


def test_a_payload_is_masked_and_still_one() -> None:
    raw = [
        json.dumps({"timestamp": 1_795_290_301_968 + i, **event}).encode() for i, event in enumerate(EVENTS)
    ]
    packed = json.dumps(
        zlib.compress(
            json.dumps({**typed(6, "four"), "timestamp": 1_795_290_301_980, "v": "v1"}).encode()
        ).decode("latin-1")
    ).encode()
    broken = b'{"timestamp":1,"data":{"text":"three"}}'
    body = bytearray(
        envelope(
            [*raw, packed, broken], navigations=[{"url": "/?key=abc", "timestamp_ms": 0}], name="n", **LOGS
        )
    )
    before = bytes(body)
    counts = remask_payload(body, Masker(Privacy()))
    assert counts == {"card_number": 3, "url_parameter": 2, "password_input": 3, "unreadable": 1}
    again = plan([payload(bytes(body))], Claims(), max_bytes=512 * MIB)
    at_once = plan([payload(before)], Claims(), masker=Masker(Privacy()), max_bytes=512 * MIB)
    assert stored(again).object == stored(at_once).object
    assert sidecar_json(again) == sidecar_json(at_once)
    assert msgspec.json.decode(body)["navigations"] == [{"url": "/?key=***", "timestamp_ms": 0}]
    assert remask_payload(body, Masker(Privacy())) == {}
