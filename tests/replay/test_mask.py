"""Masking: what is a secret is gone from what is stored, and everything else is as it was, byte for byte."""

import base64
import gzip
import json
import zlib
from collections.abc import Iterable
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.mask import Masker
from replay.plan import Claims, Plan, plan
from replay.privacy import IpAddresses, Masking, Pattern, Privacy, Rules
from tests import fixtures
from tests.replay.recordings import MIB, START_MS, decoded, envelope, payload, recordings, sidecar, stored

DEFAULT = Privacy()
STRICT = Privacy(Masking.STRICT)
META = {"type": 4, "data": {"href": "https://app.example.com/", "width": 1280, "height": 720}}
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"
CARD = "4111 1111 1111 1111"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----"


def masked(events: Iterable[Any], privacy: Privacy = DEFAULT, **members: Any) -> Plan:
    """The plan of a recording of these events, at one a second; events may be raw JSON."""
    raw = [
        event
        if isinstance(event, bytes)
        else json.dumps({"timestamp": START_MS + 1000 * i, **event}, separators=(",", ":")).encode()
        for i, event in enumerate(events)
    ]
    body = payload(envelope(raw, **members))
    return plan([body], Claims(), masker=Masker(privacy), max_bytes=512 * MIB)


def played(plan: Plan) -> list[Any]:
    events: list[Any] = json.loads(decoded(stored(plan).frame))
    return events


def custom(value: Any) -> dict[str, Any]:
    return {"type": 5, "data": {"tag": "t", "payload": value}}


def payload_of(value: Any, privacy: Privacy = DEFAULT) -> Any:
    """What becomes of a value in a custom event."""
    return played(masked([custom(value)], privacy))[0]["data"]["payload"]


def element(node: int, tag: str, *children: Any, **attributes: Any) -> dict[str, Any]:
    return {
        "type": 2,
        "tagName": tag,
        "attributes": {name.replace("_", "-"): value for name, value in attributes.items()},
        "childNodes": list(children),
        "id": node,
    }


def text(node: int, content: str) -> dict[str, Any]:
    return {"type": 3, "textContent": content, "id": node}


def snapshot(*nodes: Any) -> dict[str, Any]:
    body = element(4, "html", element(5, "body", *nodes))
    return {"type": 2, "data": {"node": {"type": 0, "childNodes": [body], "id": 1}, "initialOffset": {}}}


def typed(node: int, value: str) -> dict[str, Any]:
    return {"type": 3, "data": {"source": 5, "id": node, "text": value, "isChecked": False}}


def mutation(**data: Any) -> dict[str, Any]:
    return {
        "type": 3,
        "data": {"source": 0, "texts": [], "attributes": [], "removes": [], "adds": [], **data},
    }


def changed(node: int, **attributes: Any) -> dict[str, Any]:
    return mutation(attributes=[{"id": node, "attributes": attributes}])


def texts(plan: Plan) -> list[str]:
    """What Input events say."""
    return [event["data"]["text"] for event in played(plan) if event["data"].get("source") == 5]


# What is a secret by itself


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        (f"pay with {CARD}.", "pay with **** **** **** ****.", "card_number"),
        ("4111111111111111", "*" * 16, "card_number"),
        ("no.5500-0055-5555-5559", "no.*******************", "card_number"),
        ("3782 822463 10005", "**** ****** *****", "card_number"),
        ("Authorization: Basic dXNlcjpwYXNz\r\nHost: x", "Authorization: ***** ************\r\nHost: x", "header"),
        ("Cookie: a={1}; b=[2]; sid=c\nHost: x", "Cookie: ****** ****** *****\nHost: x", "header"),
        ("curl -H 'Cookie: a={1}; b=c' https://x", "curl -H 'Cookie: ****** ***' https://x", "header"),
        ("token Bearer abc.DEF-123", "token Bearer ***********", "bearer_token"),
        ("Basic dXNlcjpwYXNz", "Basic ************", "bearer_token"),
        (f"see {JWT}", "see " + "*" * len(JWT), "jwt"),
        (KEY, "-----BEGIN PRIVATE KEY-----\n**************\n-----END PRIVATE KEY-----", "private_key"),
        ("/a?x=1&token=abc&y=2#api_key=d", "/a?x=1&token=***&y=2#api_key=*", "url_parameter"),
        ("/a?accessToken=abc&author=me", "/a?accessToken=***&author=me", "url_parameter"),
        ("user=me&password=a%20b", "user=me&password=*****", "url_parameter"),
        ("/to?next=https%3A%2F%2Fx.org%3Fsecret%3Dabc%26a%3D1", "/to?next=https%3A%2F%2Fx.org%3Fsecret%3D***%26a%3D1", "url_parameter"),
        ("%34%31%31%31%201111%201111%201111", "*" * 33, "card_number"),
        ('{"user":"me","password":"a\\"b"}', '{"user":"me","password":"*//*"}', "secret_field"),
        ('{"a":"{\\"token\\":\\"abc\\"}"}', '{"a":"{\\"token\\":\\"***\\"}"}', "secret_field"),
    ],
)  # fmt: skip
def test_a_secret_in_a_text_is_masked_and_keeps_its_length(before: str, after: str, rule: str) -> None:
    result = masked([custom({"note": [before]})])
    (event,) = played(result)
    assert event["data"]["payload"] == {"note": [after]}
    assert set(result.masked) == {rule}


@pytest.mark.parametrize(
    "harmless",
    [
        *("1795290301968", "4111111111111112", "0.4111111111111111", "a4111111111111111", "css-4111111111111111"),
        *("Bearer certificates", "Basic information", "cookies are set", "a key to all", "keyword=x", "monkey=1"),
        *("2024 2025 2026 2027", "M4000 3000 2000 1000 4111 1111 1111 1111 2222 4000", "?author=me", "tokenize"),
    ],
)  # fmt: skip
def test_what_only_looks_like_one_stays(harmless: str) -> None:
    result = masked([custom({"note": harmless})])
    assert played(result)[0]["data"]["payload"] == {"note": harmless}
    assert result.masked == {}


def test_numbers_and_ids_are_no_card_numbers() -> None:
    value = {
        "id": "4111111111111111",
        "orderId": "4111111111111111",
        "at": 4111111111111111,
        "u": "/x?id=4111111111111111",
    }
    assert payload_of(value) == value


def test_a_card_number_split_over_two_text_nodes_is_not_found() -> None:
    """The documented limit: what is a secret only together with its neighbour."""
    result = masked([META, snapshot(element(6, "p", text(7, "4111 1111 "), text(8, "1111 1111")))])
    assert result.masked == {}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"Authorization": "Bearer x", "accept": "*"}, {"Authorization": "****** *", "accept": "*"}),
        ({"set-cookie": ["a=b", "c=d"]}, {"set-cookie": ["***", "***"]}),
        ({"cookies": [{"name": "a", "value": "b"}]}, {"cookies": [{"name": "*", "value": "*"}]}),
        ([{"name": "Cookie", "value": "a=b"}], [{"name": "Cookie", "value": "***"}]),
        ([{"value": "a=b", "name": "x-api-key"}], [{"value": "***", "name": "x-api-key"}]),
        ([["X-Auth-Token", "abc"], ["host", "x"]], [["X-Auth-Token", "***"], ["host", "x"]]),
        (["host", "x", "cookie", "a=b"], ["host", "x", "cookie", "***"]),
        ({"password": {"old": "abc", "n": [42, True, None]}}, {"password": {"old": "***", "n": [11, True, None]}}),
    ],
)  # fmt: skip
def test_a_value_whose_name_says_so_is_masked_whole(before: Any, after: Any) -> None:
    assert payload_of(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([{"name": "Cookie", "enabled": True, "value": "a=b"}], [{"name": "Cookie", "enabled": True, "value": "***"}]),
        ([{"value": "a=b", "comment": "", "name": "Cookie"}], [{"value": "***", "comment": "", "name": "Cookie"}]),
        ([{"name": "x-api-key", "values": ["abc"]}], [{"name": "x-api-key", "values": ["***"]}]),
        ('{"name": "Cookie", "value": "a=b"}', '{"name": "Cookie", "value": "***"}'),
        ('{"token": [["a"], "b"], "c": 1}', '{"token": [["*"], "*"], "c": 1}'),
        ('{"password": {"a": {"b": "c"}, "d": "e"}}', '{"password": {"a": {"b": "*"}, "d": "*"}}'),
        ('{"token": null, "password": true}', '{"token": null, "password": true}'),
    ],
)  # fmt: skip
def test_a_name_and_its_value_are_told_however_they_are_written(before: Any, after: Any) -> None:
    assert payload_of(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("/?password=a(b)c'd&x=1", "/?password=*******&x=1"),
        ("background: url(/a?key=abc) no-repeat", "background: url(/a?key=***) no-repeat"),
        ("fetch('/a?key=abc')", "fetch('/a?key=***')"),
        ("(see /a?key=abc(1))", "(see /a?key=***(1))"),
    ],
)
def test_a_parameter_goes_as_far_as_its_url(before: str, after: str) -> None:
    assert payload_of(before) == after


@pytest.mark.parametrize(
    "around", ["\u30ab\u30fc\u30c9%s\u3067\u3059", "\u756a\u53f7\uff1a%s", "\u2022%s\u2022", "\u00e9%s"]
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_card_number_is_told_beside_any_script(around: str, ascii_only: bool) -> None:
    raw = json.dumps({"timestamp": 1, **custom(around % CARD)}, ensure_ascii=ascii_only).encode()
    assert played(masked([raw]))[0]["data"]["payload"] == around % "**** **** **** ****"


@pytest.mark.parametrize(
    "harmless",
    ["/?orderId=4111111111111111", '{"id": "4111111111111111"}', '{"orderId":4111111111111111}', "user_uuid=4111111111111111"],
)  # fmt: skip
def test_ids_within_a_text_are_no_card_numbers(harmless: str) -> None:
    assert payload_of(harmless) == harmless


def test_escapes_hide_nothing() -> None:
    raw = rb'{"type":5,"timestamp":1,"data":{"tag":"t","payload":{"\u0041uthorization":"x","n":"\u0034111 1111 1111 1111"}}}'
    (event,) = played(masked([raw]))
    assert event["data"]["payload"] == {"Authorization": "*", "n": "**** **** **** ****"}


def test_base64_that_is_named_hides_nothing() -> None:
    secret = base64.b64encode(f"the card is {CARD}".encode()).decode()
    assert CARD not in base64.b64decode(payload_of(f"data:text/plain;base64,{secret}")[23:] + "==").decode(
        "latin-1"
    )


def test_logs_client_info_and_navigations_are_masked_too() -> None:
    result = masked(
        [META],
        console_logs=[{"level": "log", "args": [f"card {CARD}"], "timestamp": 1}],
        network_logs=[{"url": "https://x/?token=abc", "requestHeaders": {"Cookie": "a=b"}, "status": 200}],
        client_info={"note": JWT, "ip": "192.0.2.77"},
    )
    kept = sidecar(result)
    assert kept["console"][0]["args"] == ["card **** **** **** ****"]
    assert kept["network"][0] == {
        "url": "https://x/?token=***",
        "requestHeaders": {"Cookie": "***"},
        "status": 200,
    }
    assert kept["client_info"] == {"note": "*" * len(JWT), "ip": "192.0.2.77"}


def test_the_pages_of_a_recording_show_no_secrets() -> None:
    meta = {"type": 4, "data": {**META["data"], "href": "https://x/?a=1&secret=abc"}}  # type: ignore[dict-item]
    result = masked([meta])
    assert [page.url for page in result.navigations] == ["https://x/?a=1&secret=***"]
    video = plan([payload(envelope([], has_video=True, navigations=[{"url": "/?key=abc", "timestamp_ms": 0}]))],
                 Claims(video=True), masker=Masker(DEFAULT), max_bytes=MIB)  # fmt: skip
    assert [page.url for page in video.navigations] == ["/?key=***"]


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        (IpAddresses.FULL, ["192.0.2.77", "2001:db8:1:2::3", "x"]),
        (IpAddresses.TRUNCATED, ["192.0.2.0", "2001:db8:1::", None]),
        (IpAddresses.OFF, [None, None, None]),
    ],
)
def test_addresses_are_kept_as_the_project_wants(policy: IpAddresses, kept: list[str | None]) -> None:
    for address, expected in zip(["192.0.2.77", "2001:db8:1:2::3", "x"], kept, strict=True):
        result = masked(
            [META], Privacy(Masking.OFF, ip_addresses=policy), client_info={"ip": address, "os": "x"}
        )
        assert sidecar(result)["client_info"] == {"ip": expected, "os": "x"}


# What is a secret because of where it stands


def test_the_value_of_a_password_input_is_masked_wherever_it_shows_up() -> None:
    field = element(6, "input", type="password", value="one", name="pw")
    events = [META, snapshot(field, element(7, "input", type="text", value="me")), typed(6, "two"), typed(7, "you"),
              changed(6, value="three"), mutation(adds=[{"parentId": 5, "nextId": None, "node": field}])]  # fmt: skip
    result = masked(events)
    stored = json.dumps(played(result))
    assert not {"one", "two", "three"} & set(stored.replace('"', " ").split())
    assert texts(result) == ["***", "you"]
    assert result.masked == {"password_input": 4}


@pytest.mark.parametrize(
    "later",
    [changed(6, type="password"), changed(6, **{"data-rr-is-password": "true"}), changed(6, type="PASSWORD")],
)
def test_an_input_that_becomes_a_password_input_was_one_when_it_was_typed_into(later: Any) -> None:
    result = masked(
        [META, snapshot(element(6, "input", type="text")), typed(6, "abc"), later, typed(6, "abcd")]
    )
    assert texts(result) == ["***", "****"]


def test_a_password_that_is_shown_stays_masked() -> None:
    shown = [snapshot(element(6, "input", type="password")), changed(6, type="text"), typed(6, "abc")]
    assert texts(masked([META, *shown])) == ["***"]


def test_an_input_of_another_page_with_the_same_id_is_another_input() -> None:
    login = snapshot(element(6, "input", type="password", name="pw"))
    search = snapshot(element(6, "input", type="text", name="q"))
    assert texts(masked([META, login, typed(6, "abc"), META, search, typed(6, "socks")])) == ["***", "socks"]


def test_an_input_is_the_same_in_another_snapshot_of_its_page() -> None:
    before, after = (
        snapshot(element(6, "input", type=kind, name="pw", value="x")) for kind in ("text", "password")
    )
    result = masked([META, before, typed(6, "abc"), META, after, typed(6, "abcd")])
    assert texts(result) == ["***", "****"]
    assert result.masked == {"password_input": 4}


def test_windows_share_no_ids() -> None:
    events = [{**META, "windowId": "a"}, {**snapshot(element(6, "input", type="password")), "windowId": "a"},
              {**META, "windowId": "b"}, {**snapshot(element(6, "input", type="text")), "windowId": "b"},
              {**typed(6, "abc"), "windowId": "a"}, {**typed(6, "socks"), "windowId": "b"}]  # fmt: skip
    assert texts(masked(events)) == ["***", "socks"]


def test_a_card_number_is_masked_from_its_first_digit_on() -> None:
    steps = ["4", "4111 1111", "4111 1111 1111 111", CARD, "4111 1111 1111 111"]
    result = masked([META, snapshot(element(6, "input", type="text")), *(typed(6, step) for step in steps)])
    assert not any(digit in "".join(texts(result)) for digit in "14")


@pytest.mark.parametrize(
    "mark",
    ["rr-mask", "rr-block", "ph-no-capture", "sentry-mask", "sentry-block", "seestack-mask", "fs-mask"],
)
def test_what_a_marked_element_holds_is_masked(mark: str) -> None:
    inside = element(7, "p", text(8, "Ada L."), title="hers")
    shown = snapshot(
        element(6, "div", inside, element(9, "input", value="x1"), **{"class": f"a {mark} b"}),
        text(10, "all"),
    )
    changes = [typed(9, "x2"), mutation(texts=[{"id": 8, "value": "Bob M."}]), changed(7, title="his"),
               mutation(adds=[{"parentId": 7, "nextId": None, "node": text(11, "Eve")}])]  # fmt: skip
    result = masked([META, shown, *changes])
    everything = json.dumps(played(result))
    for secret in ("Ada", "hers", "x1", "x2", "Bob", "his", "Eve"):
        assert secret not in everything
    assert '"*** **"' in everything
    assert '"all"' in everything
    assert result.masked == {"marked_element": 7}


@pytest.mark.parametrize(
    "classes", ["a\nrr-mask", "rr-mask\n", "\trr-block\t", "token=x rr-mask", "%41 rr-mask"]
)
def test_a_class_is_told_among_any_others(classes: str) -> None:
    result = masked([META, snapshot(element(6, "div", text(7, "Ada"), **{"class": classes}))])
    assert "Ada" not in json.dumps(played(result))


@pytest.mark.parametrize(
    "autocomplete",
    [
        "one-time-code",
        "current-password",
        "current-password webauthn",
        "section-a\ncc-number",
        "billing cc-csc",
    ],
)
def test_what_a_browser_fills_in_tells_a_secret(autocomplete: str) -> None:
    shown = snapshot(element(6, "input", type="text", autocomplete=autocomplete))
    assert texts(masked([META, shown, typed(6, "abc")])) == ["***"]


@pytest.mark.parametrize("name", ["data-private-mask", "data-seestack-mask", "data-mask"])
def test_an_attribute_marks_an_element_too(name: str) -> None:
    result = masked([META, snapshot(element(6, "div", text(7, "Ada"), **{name: ""}))])
    assert "Ada" not in json.dumps(played(result))


def test_an_element_that_is_marked_later_was_marked_before() -> None:
    shown = snapshot(element(6, "div", element(7, "p", text(8, "Ada"))))
    result = masked([META, shown, changed(6, **{"class": "rr-mask"})])
    assert "Ada" not in json.dumps(played(result))


def test_what_was_inside_a_marked_element_is_masked_wherever_it_goes() -> None:
    shown = snapshot(
        element(6, "div", element(7, "p", text(8, "Ada")), **{"class": "rr-mask"}), element(9, "div")
    )
    moved = mutation(adds=[{"parentId": 9, "nextId": None, "node": element(7, "p")}])
    result = masked([META, shown, moved, mutation(texts=[{"id": 8, "value": "Bob"}])])
    assert not {"Ada", "Bob"} & set(json.dumps(played(result)).split('"'))


def test_blocked_elements_show_no_pictures_and_style_sheets_stay() -> None:
    picture = element(7, "img", src="/me.png", alt="me")
    style = element(8, "style", text(9, "p { color: red }"))
    (block,) = played(masked([snapshot(element(6, "div", picture, style, **{"class": "rr-block"}))]))
    everything = json.dumps(block)
    assert "/me.png" not in everything
    assert "p { color: red }" in everything


def test_strict_masks_all_text_and_all_input_but_labels_of_buttons() -> None:
    page = snapshot(element(6, "p", text(7, "Ada é 😀\n x"), title="hi"), element(8, "input", type="submit", value="Go"),
                    element(9, "textarea", value="abc"), element(10, "style", text(11, "p{}")))  # fmt: skip
    result = masked([META, page, typed(9, "abcd"), mutation(texts=[{"id": 7, "value": "Bob"}])], STRICT)
    _, shown, input_, changed_ = played(result)
    body = shown["data"]["node"]["childNodes"][0]["childNodes"][0]["childNodes"]
    assert body[0]["childNodes"][0]["textContent"] == "*** * **\n *"
    assert body[0]["attributes"]["title"] == "**"
    assert (body[1]["attributes"]["value"], body[2]["attributes"]["value"]) == ("Go", "***")
    assert body[3]["childNodes"][0]["textContent"] == "p{}"
    assert input_["data"]["text"] == "****"
    assert changed_["data"]["texts"][0]["value"] == "***"
    assert result.masked == {"text": 3, "input": 2}


@pytest.mark.parametrize(
    "event",
    [
        snapshot(element(6, "iframe", srcdoc="<p>Ada")),
        snapshot(element(6, "div", aria_placeholder="Ada")),
        {"type": 3, "data": {"source": 9, "id": 6, "type": 0, "property": "fillText", "args": ["Ada", 10, 20]}},
        {"type": 3, "data": {"source": 9, "id": 6, "type": 0, "commands": [{"property": "strokeText", "args": ["Ada", 10, 20]}]}},
        changed(99, value="Ada"),
    ],
)  # fmt: skip
def test_strict_masks_text_wherever_it_is(event: dict[str, Any]) -> None:
    everything = json.dumps(played(masked([META, snapshot(), event], STRICT)))
    assert "Ada" not in everything
    assert ("10, 20]" in everything) == ("10, 20]" in json.dumps(event))


# A project's own rules


def test_patterns_selectors_and_keys_mask_what_they_name() -> None:
    rules = Rules(
        (Pattern("order", "ORD-[0-9]{4}"),), (".salary > b", "[data-pii]"), ("ssn", "date of birth")
    )
    page = snapshot(element(6, "p", element(7, "b", text(8, "900")), **{"class": "salary"}),
                    element(9, "p", element(10, "b", text(11, "901"))), element(12, "i", text(13, "Ada"), data_pii="1"),
                    text(14, "order ORD-1234 and ORD-12"))  # fmt: skip
    events = [
        META,
        page,
        custom({"ssn": 123, "SSN": "a", "Date of Birth": "b", "x": '{"ssn":"abc"}', "u": "/?ssn=1&a=2"}),
    ]
    result = masked(events, Privacy(Masking.OFF, rules))
    everything = json.dumps(played(result))
    assert '"***"' in everything
    assert '"901"' in everything
    assert "Ada" not in everything
    assert "order ******** and ORD-12" in everything
    assert played(result)[2]["data"]["payload"] == {
        "ssn": 111,
        "SSN": "*",
        "Date of Birth": "*",
        "x": '{"ssn":"***"}',
        "u": "/?ssn=*&a=2",
    }
    assert result.masked == {"pattern:order": 1, "selector": 2, "key": 5}


def test_off_with_rules_masks_what_they_name_and_nothing_else() -> None:
    page = snapshot(element(6, "input", type="password", value="one"), element(7, "p", text(8, "Ada"), **{"class": "rr-mask"}),
                    element(9, "p", text(10, "Bob"), id="bob"))  # fmt: skip
    result = masked([META, page, typed(6, CARD)], Privacy(Masking.OFF, Rules(selectors=("#bob",))))
    assert result.masked == {"selector": 1}
    assert "Bob" not in json.dumps(played(result))


def test_off_masks_nothing() -> None:
    events = [META, snapshot(element(6, "input", type="password", value="one")), typed(6, CARD), custom(JWT)]
    result = masked(events, Privacy(Masking.OFF))
    assert (result.masked, texts(result)) == ({}, [CARD])


# Packed, rejected, hostile


def test_packed_events_hide_nothing() -> None:
    def packed(event: dict[str, Any]) -> bytes:
        return json.dumps(zlib.compress(json.dumps({**event, "v": "v1"}).encode()).decode("latin-1")).encode()

    def gzipped(value: Any) -> str:
        return gzip.compress(json.dumps(value).encode()).decode("latin-1")

    field = snapshot(element(6, "input", type="password", value="one"))
    cv = {"type": 2, "timestamp": START_MS + 9, "cv": "2024-10", "data": gzipped(field["data"])}
    events = [packed({**field, "timestamp": START_MS}), packed({**typed(6, "two"), "timestamp": START_MS + 1}),
              packed({**custom(CARD), "timestamp": START_MS + 2}), json.dumps(cv).encode()]  # fmt: skip
    result = masked(events)
    everything = json.dumps(played(result))
    for secret in ("one", "two", CARD):
        assert f'"{secret}"' not in everything
    assert result.masked == {"password_input": 3, "card_number": 1}


def test_rejected_events_keep_their_shape_and_no_content() -> None:
    field = snapshot(element(6, "input", type="password", value="one"))
    broken = json.dumps(zlib.compress(json.dumps({**typed(6, "two"), "v": "v1"}).encode()).decode("latin-1"))
    cut = json.dumps(json.loads(broken)[:-5])
    events = [
        json.dumps(field).encode(),
        json.dumps(typed(6, "three")).encode(),
        broken.encode(),
        cut.encode(),
    ]
    kept = sidecar(masked([META, *events]))["rejected"]
    assert [one["reason"] for one in kept] == ["missing_timestamp"] * 3 + ["bad_pack"]
    assert kept[1]["event"]["data"] == {"source": 5, "id": 6, "text": "*****", "isChecked": False}
    assert not {"one", "two", "three"} & set(json.dumps(kept).split('"'))
    assert kept[2]["event"]["data"]["text"] == "***"
    assert not any(map(str.isalnum, kept[3]["event"]))


def test_an_event_of_another_shape_is_masked_as_if_all_in_it_were_secret() -> None:
    odd = {
        "type": 2,
        "data": {"node": {"id": 1, "childNodes": {"a": element(6, "input", type="password", value="one")}}},
    }
    assert '"one"' not in json.dumps(played(masked([META, odd, typed(6, "two")])))
    assert texts(masked([META, odd, typed(6, "two")])) == ["***"]


def test_nodes_that_go_in_circles_end() -> None:
    circle = [{"parentId": 8, "nextId": None, "node": element(7, "p", **{"class": "rr-mask"})},
              {"parentId": 7, "nextId": None, "node": element(8, "p", text(9, "Ada"))}]  # fmt: skip
    assert "Ada" not in json.dumps(played(masked([META, snapshot(), mutation(adds=circle)])))


def test_nodes_that_go_in_circles_end_for_selectors_too() -> None:
    circle = [{"parentId": 8, "nextId": None, "node": element(7, "p")},
              {"parentId": 7, "nextId": None, "node": element(8, "p", text(9, "Ada"))}]  # fmt: skip
    rules = Rules(selectors=("main p", "p > p"))
    assert "Ada" not in json.dumps(
        played(masked([META, snapshot(), mutation(adds=circle)], Privacy(rules=rules)))
    )


def test_a_pattern_never_cuts_a_character_in_two() -> None:
    rules = Rules((Pattern("byte", r"\Cb"), Pattern("bytes", r"a\C")))
    raw = '{"type":5,"timestamp":1,"data":{"payload":"x\u00e9b a\u00e9"}}'.encode()
    (event,) = played(masked([raw], Privacy(Masking.OFF, rules)))
    assert event["data"]["payload"] == "x\u00e9* *\u00e9"


@pytest.mark.parametrize(
    "part",
    [
        "/a=",
        "/token=",
        "&a=",
        "cookie: ",
        r"\"token\":[",
        r"\"",
        r"\\",
        "%41",
        "bearer ",
        "-----BEGIN PRIVATE KEY",
        "4111 ",
    ],
)
def test_time_goes_with_the_length_of_a_text(part: str) -> None:
    def seconds(times: int) -> float:
        body = bytearray(b'["token=abc ' + part.encode() * times + b'"]')
        start = perf_counter()
        Masker(DEFAULT).mask(body, 0, len(body), lambda *_: None, lambda *_: None)
        return perf_counter() - start

    assert min(seconds(20_000) for _ in range(2)) < 40 * min(seconds(2_000) for _ in range(3))


@pytest.mark.parametrize("part", ['"token"', '"4111111111111111"', '{"name":"cookie"}'])
def test_time_goes_with_the_number_of_texts(part: str) -> None:
    def seconds(times: int) -> float:
        before = b'"' + rb"\"" * 2000 + b'",'
        body = bytearray(b"[" + before + b",".join([part.encode()] * times) + b"]")
        start = perf_counter()
        Masker(DEFAULT).mask(body, 0, len(body), lambda *_: None, lambda *_: None)
        return perf_counter() - start

    assert seconds(2_000) < 2.0


def test_a_page_that_is_deeper_than_any_is_hidden_as_a_whole_when_anything_on_it_is() -> None:
    chain = [
        {"parentId": 9 + i if i else 5, "nextId": None, "node": element(10 + i, "p")} for i in range(3000)
    ]
    moves = [{"parentId": 3009 - i % 2, "nextId": None, "node": element(9999, "p")} for i in range(3000)]
    page = snapshot(element(6, "div", **{"class": "rr-mask"}), text(7, "Ada"))
    assert "Ada" not in json.dumps(played(masked([META, page, mutation(adds=chain), mutation(adds=moves)])))


def test_a_secret_without_a_name_is_one_on_other_pages_where_nothing_else_has_its_id() -> None:
    pages = [snapshot(), changed(6, type="password"), snapshot(), typed(6, "abc"),
             snapshot(element(6, "input", type="text", name="q")), typed(6, "socks")]  # fmt: skip
    assert texts(masked([META, *pages])) == ["***", "socks"]


def test_a_long_selector_on_a_deep_page_takes_no_longer() -> None:
    inner = text(9, "Ada")
    for i in range(100):
        inner = element(100 + i, "div", inner)
    rules = Rules(selectors=("nav " + "div " * 20 + "b", "section " + "div > div " * 8 + "div"))
    result = masked([META, snapshot(inner)], Privacy(rules=rules))
    assert result.masked == {}


@pytest.mark.parametrize("name", ["login.json", "login-pretty.json", "shop-packed.json", "shop-posthog.json"])
def test_passwords_and_cards_of_a_real_recording_are_gone(name: str) -> None:
    events = [json.dumps(event).encode() for event in json.loads(fixtures.read(name))]
    result = masked(events)
    everything = decoded(stored(result).frame).decode() + json.dumps(sidecar(result))
    assert not any(secret in everything for secret in ("not-a-secret", "correct horse", CARD))


@given(recordings, st.sampled_from([DEFAULT, STRICT]))
def test_nothing_changes_its_length_or_its_shape(events: list[bytes], privacy: Privacy) -> None:
    open_, closed = masked(events, Privacy(Masking.OFF)), masked(events, privacy)
    one, other = decoded(stored(open_).frame), decoded(stored(closed).frame)
    assert len(one) == len(other)
    assert (open_.account, open_.event_count, open_.duration_ms) == (
        closed.account,
        closed.event_count,
        closed.duration_ms,
    )
    assert [set(event) for event in json.loads(one)] == [set(event) for event in json.loads(other)]


secrets = st.sampled_from([CARD, JWT, f"/?token={JWT}", "Bearer abc123def", KEY])


@given(st.text(max_size=20), secrets, st.text(max_size=20), st.booleans())
def test_a_secret_is_found_whatever_stands_around_it(
    before: str, secret: str, after: str, ascii_only: bool
) -> None:
    value = f"{before} {secret} {after}"
    raw = json.dumps({"type": 5, "timestamp": 1, "data": {"payload": [value]}}, ensure_ascii=ascii_only)
    (event,) = played(masked([raw.encode("utf-8", "surrogatepass")]))
    (result,) = event["data"]["payload"]
    assert len(result) == len(value)
    assert secret.removeprefix("/?token=").removeprefix("Bearer ")[-30:-25] not in result or len(secret) < 30


PARTS = ("token", "=", "&", "?", CARD, "Bearer ", "abc123", JWT, "%41", "%", "%22", "\\", '"', "'", "{", "}", "[", "]", ":", ",",
         "\n", " ", "é", "😀", "\ud83d", KEY, "cookie: ", "id", "name", "value", "password", "\x00", "\\u0041", "rr-mask")  # fmt: skip
fragments = st.lists(st.sampled_from(PARTS), max_size=8).map("".join)
values = st.recursive(
    st.one_of(fragments, st.integers(), st.none(), st.booleans()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(fragments, inner, max_size=3),
        inner.map(json.dumps),
    ),
    max_leaves=8,
)


@given(values, st.booleans(), st.sampled_from([None, 1]))
def test_whatever_is_masked_stays_json_of_the_same_length(
    value: Any, ascii_only: bool, indent: int | None
) -> None:
    sent = json.dumps([value], ensure_ascii=ascii_only, indent=indent).encode("utf-8", "replace")
    text = bytearray(sent)
    Masker(DEFAULT).mask(text, 0, len(text), lambda *_: None, lambda *_: None)
    assert len(text) == len(sent)
    assert outline(json.loads(text.decode())) == outline(json.loads(sent))


def outline(value: Any) -> Any:
    """The same without what masking may change; members in their order, for a name may be masked, too."""
    match value:
        case dict():
            return [outline(pair) for pair in value.items()] if len(value) < 2 else dict
        case list() | tuple():
            return [outline(one) for one in value]
        case str():
            return len(value.encode("utf-16", "surrogatepass"))
        case None | bool():
            return value
        case _:
            return int
