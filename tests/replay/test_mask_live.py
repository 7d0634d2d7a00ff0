"""Masking what live sessions say in events of their own: nothing that a policy calls a secret is left in tape or rows."""

import json
from typing import Any

import pytest
import zstandard

from replay.mask import Masker
from replay.plan import Plan
from replay.privacy import Masking, Privacy, Rules
from replay.remask import remask, remask_payload
from tests.replay.live import TIME_MS, body, enveloped, live, planned
from tests.replay.masking import CARD, DEFAULT, STRICT
from tests.replay.recordings import decoded, sidecar, stored

URL = "https://shop.example/login"


def masked(*events: dict[str, Any], privacy: Privacy = DEFAULT) -> Plan:
    return planned(events, live=True, masker=Masker(privacy))


def payloads(plan: Plan) -> list[Any]:
    return [event["data"]["payload"] for event in json.loads(decoded(stored(plan).frame))]


def payload_of(tag: str, payload: Any, privacy: Privacy = DEFAULT) -> Any:
    return payloads(masked(live(tag, payload), privacy=privacy))[0]


@pytest.mark.parametrize(
    ("payload", "rule"),
    [
        ({"selector": "input#pw", "value": "hunter2", "inputType": "password"}, "password_input"),
        ({"selector": "#login-password", "value": "hunter2"}, "password_input"),
        ({"name": "user[passwd]", "text": "hunter2", "length": 7}, "password_input"),
        ({"target": {"type": "password", "id": "pw"}, "data": ["hunter2"]}, "password_input"),
        ({"element": {"attributes": {"type": "password", "value": "hunter2"}}}, "password_input"),
        ({"autocomplete": "one-time-code", "oldValue": "", "new_value": "hunter2"}, "password_input"),
        ({"label": "Your Password", "whatever": {"it": "hunter2"}}, "password_input"),
        ({"selector": "input[type=password][value=hunter2]"}, "password_input"),
        ({"target": "<input type='password' value='hunter2'>"}, "password_input"),
        ({"autocomplete": "cc-csc", "value": "hunter2"}, "card_number"),
        ({"name": "cvc", "value": "hunter2"}, "card_number"),
        ('password hunter2', "password_input"),
        ('{"type":"\\u0070assword","value":"hunter2"}', "password_input"),
        ('{"inputType":"password","value":"hunter2\ud83d"}', "password_input"),
    ],
)  # fmt: skip
def test_what_was_typed_as_a_password_is_masked(payload: Any, rule: str) -> None:
    plan = masked(live("input", payload))
    (found,) = payloads(plan)
    assert "hunter2" not in json.dumps(found)
    assert len(json.dumps(found)) == len(json.dumps(payload if isinstance(payload, dict) else found))
    assert plan.masked == {rule: plan.masked[rule]}


def test_a_number_that_was_typed_is_masked_and_what_describes_the_input_stays() -> None:
    payload = {
        "selector": "#pw",
        "type": "password",
        "value": 1234,
        "x": 12,
        "length": 4,
        "label": "Password",
    }
    assert payload_of("input", payload) == {**payload, "value": 1111}


@pytest.mark.parametrize(
    "payload",
    [
        {"selector": "#name", "value": "Ada"},
        {"selector": "#compass", "value": "north"},
        {"selector": "#topic", "value": "forgot my password"},
        "Ada",
    ],
)
def test_what_is_no_secret_stays(payload: Any) -> None:
    plan = masked(live("input", payload))
    assert payloads(plan) == [payload]
    assert plan.masked == {}


def test_an_input_is_a_secret_at_any_time_of_its_page() -> None:
    values = ["hun", "hunter", "hunter2"]
    done = [
        live("input", {"selector": "#pw", "value": value}, TIME_MS + i, url=f"{URL}?step={i}")
        for i, value in enumerate(values)
    ]
    shown = live(
        "input", {"selector": "#pw", "value": "hunter2", "inputType": "password"}, TIME_MS + 9, url=URL
    )
    elsewhere = live("input", {"selector": "#pw", "value": "stays"}, TIME_MS + 10, url="https://b.example/")
    other = live("input", {"selector": "#user", "value": "Ada"}, TIME_MS + 11, url=URL)
    found = [one["value"] for one in payloads(masked(*done, shown, elsewhere, other))]
    assert found == ["***", "******", "*******", "*******", "stays", "Ada"]


def test_a_card_number_is_masked_from_its_first_digit_on() -> None:
    digits = CARD.replace(" ", "")
    typed = [live("input", {"selector": "#card", "value": digits[:n]}, TIME_MS + n) for n in range(1, 17)]
    assert [one["value"] for one in payloads(masked(*typed))] == ["*" * n for n in range(1, 17)]


@pytest.mark.parametrize(
    ("tag", "payload"),
    [
        ("mouse_click", {"selector": "#pw", "type": "password", "value": "hunter2"}),
        ("dom_mutation", {"target": "input.password", "attributeName": "value", "newValue": "hunter2"}),
        ("dom_mutation", {"html": '<p><input type="password" value="hunter2"></p>'}),
        ("network_request", {"url": "/a?token=hunter2", "requestHeaders": {"authorization": "hunter2"}}),
        ("network_request", {"headers": [["Cookie", "hunter2"]], "body": '{"password":"hunter2"}'}),
        ("network_request", {"responseHeaders": [{"name": "Set-Cookie", "value": "hunter2"}]}),
        ("navigation", {"from": "/a?secret=hunter2", "to": "/b#access_token=hunter2"}),
        ("console", {"level": "log", "args": ["Bearer hunter2", {"password": "hunter2"}]}),
        ("error", {"message": "GET /?api_key=hunter2 failed", "stack": "at /?api_key=hunter2"}),
        ("own", "x-api-key: hunter2"),
    ],
)
def test_secrets_in_other_events_are_masked(tag: str, payload: Any) -> None:
    assert "hunter2" not in json.dumps(payload_of(tag, payload))


def test_secrets_in_urls_are_masked_wherever_they_are_shown() -> None:
    plan = masked(live("navigation", {"to": "/pay?token=hunter2"}, url=URL + "?key=hunter2"))
    assert [page.url for page in plan.navigations] == ["https://shop.example/pay?token=*******"]
    assert b"hunter2" not in decoded(stored(plan).frame)


def test_a_click_s_text_keeps_all_but_card_numbers() -> None:
    clicked = {"selector": "a.forgot-password", "text": "Forgot your password? " + CARD, "x": 5}
    assert payload_of("mouse_click", clicked) == {
        **clicked,
        "text": "Forgot your password? **** **** **** ****",
    }


@pytest.mark.parametrize(
    ("tag", "payload", "kept"),
    [
        ("mouse_click", {"selector": "#a", "text": "Ada", "x": 10, "own": "b"}, {"selector": "#a", "text": "***", "x": 10, "own": "*"}),
        ("mouse_click", {"aria-label": "Ada", "tagName": "A", "href": "/?value=1"}, {"aria-label": "***", "tagName": "A", "href": "/?value=1"}),
        ("input", {"id": "a", "value": "Ada", "checked": True}, {"id": "a", "value": "***", "checked": True}),
        ("input", "Ada", "***"),
        ("input", ["Ada", {"a": 5}], ["***", {"a": 5}]),
        ("dom_mutation", {"type": "childList", "added": ["<p>Ada"]}, {"type": "childList", "added": ["******"]}),
        ("navigation", {"to": "/a", "title": "Ada"}, {"to": "/a", "title": "***"}),
        ("navigation", "/a", "/a"),
        ("resize", {"width": 800, "height": 600}, {"width": 800, "height": 600}),
        ("console", {"level": "log", "args": ["Ada"]}, {"level": "log", "args": ["Ada"]}),
        ("own", {"text": "Ada"}, {"text": "Ada"}),
    ],
)  # fmt: skip
def test_strict_masks_all_text_and_all_input(tag: str, payload: Any, kept: Any) -> None:
    assert payload_of(tag, payload, STRICT) == kept


def test_what_the_page_marks_is_masked() -> None:
    clicked = {"selector": "p.rr-mask", "text": "Ada"}
    plan = masked(live("mouse_click", clicked))
    assert payloads(plan) == [{**clicked, "text": "***"}]
    assert plan.masked == {"marked_element": 1}


def test_only_what_the_project_names_is_masked_when_masking_is_off() -> None:
    payload = {"type": "password", "value": "hunter2", "ssn": "123"}
    off = Privacy(Masking.OFF, Rules(keys=("ssn",)))
    assert payload_of("input", payload, off) == {**payload, "ssn": "***"}


def test_a_packed_event_is_masked_too() -> None:
    event = {
        "type": 5,
        "data": {"tag": "input", "payload": {"type": "password", "value": "hunter2"}},
        "timestamp": TIME_MS,
    }
    assert payloads(masked(live("rrweb", json.dumps(json.dumps(event)))))[0]["value"] == "*******"  # fmt: skip


def test_what_was_stored_unmasked_can_be_masked() -> None:
    events = [
        live("input", {"selector": "#pw", "type": "password", "value": "hunter2"}),
        live("input", {"selector": "#pw", "value": "hunter"}, TIME_MS + 1),
        live("navigation", {"to": "/pay?token=abc"}, TIME_MS + 2, url=URL),
    ]
    payload = enveloped(body(events))
    assert remask_payload(payload, Masker(DEFAULT)) == {"password_input": 2, "url_parameter": 1}
    assert b"hunter" not in payload
    assert remask_payload(payload, Masker(DEFAULT)) == {}
    plan = planned(events, live=True)
    tape = bytearray(decoded(stored(plan).frame))
    beside = bytearray(json.dumps(sidecar(plan)).encode())
    again = remask(tape, beside, Masker(DEFAULT), live=True)
    assert again.masked == {"password_input": 2, "url_parameter": 1}
    assert [page.url for page in again.navigations] == ["https://shop.example/pay?token=***"]
    made = zstandard.ZstdDecompressor().decompressobj().decompress(b"".join(again.tape()))
    assert b"hunter" not in made
