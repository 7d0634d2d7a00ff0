"""Masking what is a secret because of the node that holds it, and by a project's own rules."""

import json
from typing import Any

import pytest

from replay.privacy import Masking, Pattern, Privacy, Rules
from tests.replay.masking import (
    CARD,
    JWT,
    META,
    STRICT,
    changed,
    custom,
    element,
    masked,
    mutation,
    played,
    snapshot,
    text,
    texts,
    typed,
)


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
