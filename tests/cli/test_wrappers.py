"""Files in every wrapper: the events in them, byte for byte."""

import gzip
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.wrappers import BadFile, NoRecording, Unwrapped, unwrap, unwrap_all
from tests import fixtures
from tests.cli.corpus import CORPUS, event_counts, with_corpus

# Any character, NUL and unpaired surrogates among them.
texts = st.text(st.characters(exclude_categories=()), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
times = st.integers(0, 4_000_000_000_000) | st.floats(0, 4e12)
indents = st.sampled_from([None, 0, 2, "\t"])


@st.composite
def events(draw: st.DrawFn) -> bytes:
    """One event's JSON text, spelled in one of many ways."""
    event = {"type": draw(st.integers(0, 9)), "timestamp": draw(times), "data": draw(values)}
    if draw(st.booleans()):
        event = dict(reversed(event.items())) | {"_sid": 1}
    return json.dumps(event, indent=draw(indents)).encode()


def array(found: list[bytes]) -> bytes:
    return b"[" + b" ,\r\n".join(found) + b"]"


def halves(found: list[bytes]) -> tuple[bytes, bytes]:
    return array(found[: len(found) // 2]), array(found[len(found) // 2 :])


WRAPPERS: dict[str, Callable[[list[bytes]], bytes]] = {
    "array": array,
    "byte order mark": lambda found: b"\xef\xbb\xbf" + array(found),
    "one event a line": lambda found: b"\n".join(found) + b"\n",
    "result.snapshots": lambda found: (
        b'{"result": {"snapshots": %b, "person": {"id": 1}}, "next": null}' % array(found)
    ),
    "export": lambda found: b'{"version": "2023-04-28", "data": {"id": "x", "snapshots": %b}}' % array(found),
    "lines of data": lambda found: b'{"data": %b}\n{"data": %b}\n' % halves(found),
    "segments": lambda found: b'{"segment_id":0}\n%b\n{"segment_id":1}\n%b' % halves(found),
    "array of segments": lambda found: b"[%b, %b]" % halves(found),
    "envelope": lambda found: (
        b'{"name": "\\ud83d", "events": %b, "started_at": "2026-05-04T10:00:00Z"}' % array(found)
    ),
    "save-replay": lambda found: b'{"events": %b, "consoleLogs": []}' % array(found),
}
WINDOWED: dict[str, Callable[[list[bytes]], bytes]] = {
    "by window": lambda found: b'{"snapshot_data_by_window_id": {"tab 1": %b, "tab 2": %b}}' % halves(found),
    "export by window": lambda found: (
        b'{"data": {"snapshotsByWindowId": {"tab 1": %b, "tab 2": %b}}}' % halves(found)
    ),
    "lines by window": lambda found: (
        b'{"window_id": "tab 1", "data": %b}\n{"window_id": "tab 2", "data": %b}\n' % halves(found)
    ),
    "batches": lambda found: (
        b'{"event": "$pageview", "properties": {"title": "x"}}\n'
        b'{"event": "$snapshot", "properties": {"$window_id": "tab 1", "$snapshot_data": %b}}\n'
        b'{"event": "$snapshot", "properties": {"$window_id": "tab 2", "$snapshot_data": %b}}\n'
        % halves(found)
    ),
    "lines of pairs": lambda found: b"\n".join(
        b'["tab %d", %b]' % (1 if place < len(found) // 2 else 2, event) for place, event in enumerate(found)
    ),
    "array of batches": lambda found: (
        b'[{"event": "$snapshot", "properties": {"$window_id": "tab 1", "$snapshot_data": %b}},'
        b' {"event": "$snapshot", "properties": {"$window_id": "tab 2", "$snapshot_data": %b}}]'
        % halves(found)
    ),
}


def read(text: bytes) -> Unwrapped:
    buffer = bytearray(text)
    found = unwrap(buffer)
    assert buffer == text.removeprefix(b"\xef\xbb\xbf")
    return found


def read_events(text: bytes) -> list[bytes]:
    return [bytes(event) for event in read(text).events]


@pytest.mark.parametrize("wrapper", WRAPPERS)
@given(found=st.lists(events(), min_size=2, max_size=6))
def test_events_come_out_byte_for_byte(wrapper: str, found: list[bytes]) -> None:
    assert read_events(WRAPPERS[wrapper](found)) == found


@pytest.mark.parametrize("wrapper", WINDOWED)
@given(found=st.lists(events(), min_size=2, max_size=6))
def test_a_window_that_only_the_wrapper_names_becomes_the_last_member(
    wrapper: str, found: list[bytes]
) -> None:
    got = read_events(WINDOWED[wrapper](found))
    first = len(found) // 2
    for place, (sent, received) in enumerate(zip(found, got, strict=True)):
        window = "tab 1" if place < first else "tab 2"
        assert received.startswith(sent[:-1].rstrip())
        assert json.loads(received) == json.loads(sent) | {"windowId": window}


@pytest.mark.parametrize("key", ["windowId", "window_id"])
def test_a_window_that_the_event_names_itself_is_kept_as_it_is(key: str) -> None:
    event = json.dumps({"type": 4, "data": {}, "timestamp": 1, key: "mine"}).encode()
    assert read_events(b'{"window_id": "theirs", "data": [%b]}' % event) == [event]


@pytest.mark.parametrize("window", [b"null", b'""'])
def test_a_window_without_a_name_adds_nothing(window: bytes) -> None:
    event = b'{"type":4,"data":{},"timestamp":1}'
    assert read_events(b'{"window_id": %b, "data": [%b]}' % (window, event)) == [event]


def test_elements_that_are_no_events_are_passed_on_for_the_deck_to_judge() -> None:
    found = [b'{"type":4}', b"{}", b"7", b'{"timestamp":"late","type":0}', b'"not packed"']
    assert read_events(array(found)) == found


@given(sent=st.lists(times, min_size=1))
def test_the_earliest_event_says_when_it_began_unless_times_are_relative(sent: list[float]) -> None:
    text = array([json.dumps({"type": 0, "data": {}, "timestamp": time}).encode() for time in sent])
    unix = [time for time in sent if time >= 1e11]
    assert read(text).first_ms == (min(unix) if unix else None)


def test_a_packed_event_says_when_it_happened() -> None:
    packed = zlib.compress(
        json.dumps({"type": 4, "data": {}, "timestamp": 1_700_000_000_000, "v": "v1"}).encode()
    )
    assert read(json.dumps([packed.decode("latin-1")]).encode()).first_ms == 1_700_000_000_000


def test_an_envelope_keeps_its_other_members_under_the_names_of_this_api() -> None:
    found = read(
        b'{"name": "x", "events": [], "consoleLogs": [{"level": "log"}], "networkLogs": [], "clientInfo": {"a": 1e-7}}'
    )
    assert {name: bytes(value) for name, value in found.members.items()} == {
        "name": b'"x"',
        "console_logs": b'[{"level": "log"}]',
        "network_logs": b"[]",
        "client_info": b'{"a": 1e-7}',
    }


@given(names=st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=8))
def test_what_names_the_same_session_is_one_recording(names: list[str | None]) -> None:
    lines = [
        b'{"session_id": %b, "data": [{"type": 5, "timestamp": %d}]}' % (json.dumps(name).encode(), place)
        for place, name in enumerate(names)
    ]
    found = unwrap_all(bytearray(b"\n".join(lines)))
    assert {one.session for one in found} == set(names)
    for one in found:
        times = [json.loads(bytes(event))["timestamp"] for event in one.events]
        assert times == [place for place, name in enumerate(names) if name == one.session]


def test_envelopes_of_one_session_are_joined_and_others_stay_apart() -> None:
    def body(**more: Any) -> bytes:
        return json.dumps({"events": [{"type": 5, "timestamp": 1}]} | more).encode()

    lines = [
        body(sessionId="s", name="first", duration_ms=7, consoleLogs=[{"a": "\ud83d"}]),
        body(sessionId="s", name="second", duration_ms=8, consoleLogs=[], clientInfo={}),
        body(sessionId="s", consoleLogs=[{"b": 1e-7}]),
        body(name="x"),
        body(name="y"),
    ]
    joined, *apart = sorted(unwrap_all(bytearray(b"\n".join(lines))), key=lambda one: -len(one.events))
    assert len(joined.events) == 3
    members = {name: bytes(value) for name, value in joined.members.items()}
    assert members["name"] == b'"first"'
    assert members["console_logs"] == b'[{"a": "\\ud83d"},{"b": 1e-07}]'
    assert members["client_info"] == b"{}"
    assert "duration_ms" not in members
    assert [bytes(one.members["name"]) for one in apart] == [b'"x"', b'"y"']


@pytest.mark.parametrize(
    "text", [b'{"hello": "world"}', b"[]", b"7", b'{"event": "$pageview", "properties": {}}']
)
def test_what_is_something_else_is_told_apart_from_what_is_broken(text: bytes) -> None:
    with pytest.raises(NoRecording):
        unwrap(bytearray(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'[{"type": 4,}]', "malformed JSON: .*byte 12"),
        (b'[{"type": 4}', "JSON was truncated"),
        (b'[{"a": "\xff"}]', "invalid UTF-8 at byte 8"),
        (b"7", "neither an event nor a wrapper of events: 7"),
        (b'{"hello": "world"}', "neither an event nor a wrapper"),
        (b'{"result": {"snapshots": 7}}', "neither an event nor a wrapper"),
        (b"[" * 10_000, "nested too deeply"),
        (b'{"events": [{"type": 4}], "name": "a"}\n{"events": [], "name": "b"}', "2 recordings in one file"),
        (b'{"snapshot_data_by_window_id": []}', "something else inside"),
    ],
)
def test_what_holds_no_recording_is_refused_in_one_line(text: bytes, message: str) -> None:
    with pytest.raises(BadFile, match=message) as caught:
        unwrap(bytearray(text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", fixtures.manifest())
def test_every_fixture_gives_all_its_events(name: str) -> None:
    known = fixtures.manifest()[name]
    found = read(fixtures.read(name))
    assert len(found.events) == known["events"]
    assert found.first_ms is not None


@with_corpus
def test_every_recording_of_the_corpus_gives_all_its_events() -> None:
    counts = event_counts()
    for path in sorted(Path(CORPUS or ".").rglob("*")):
        if path.suffixes[:1] in ([".json"], [".ndjson"]):
            text = path.read_bytes()
            found = read(gzip.decompress(text) if path.suffix == ".gz" else text)
            assert found.events, path
            assert len(found.events) == counts.get(str(path), len(found.events)), path
