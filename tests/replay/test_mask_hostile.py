"""Masking what is packed, rejected, hostile, or anything that hypothesis makes."""

import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.mask import Masker
from replay.privacy import Masking, Pattern, Privacy, Rules
from tests import fixtures
from tests.replay.masking import (
    CARD,
    DEFAULT,
    JWT,
    KEY,
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
from tests.replay.recordings import START_MS, decoded, recordings, sidecar, stored


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
def test_a_long_text_of_nothing_but_beginnings_ends(part: str) -> None:
    """In time that goes with its length: with the square of it this would take minutes."""
    mask_json(b'["token=abc ' + part.encode() * 20_000 + b'"]')


@pytest.mark.parametrize("part", ['"token"', '"4111111111111111"', '{"name":"cookie"}'])
def test_many_texts_that_may_be_secrets_end(part: str) -> None:
    before = b'"' + rb"\"" * 2000 + b'",'
    mask_json(b"[" + before + b",".join([part.encode()] * 2000) + b"]")


def mask_json(text: bytes) -> None:
    """Mask a JSON text, which stays one of the same length."""
    body = bytearray(text)
    Masker(DEFAULT).mask(body, 0, len(body), lambda *_: None, lambda *_: None)
    assert len(body) == len(text)
    json.loads(body)


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
