"""The custom events of live sessions: rows of logs beside their own, and the event comes back as it was."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.live_payload import Tag
from replay.relations import decompose, recompose
from tests.replay.rows import same, through_postgres
from tests.replay.test_relations_rows import by_table


def custom(tag: str, payload: Any) -> bytes:
    return json.dumps({"type": 5, "data": {"tag": tag, "payload": payload}, "timestamp": 1}).encode()


def logs(tag: str, payload: Any) -> list[dict[str, Any]]:
    """The rows of logs of an event, each without what is NULL."""
    tables = by_table(through_postgres(decompose(7, custom(tag, payload), live=True)))
    return [*tables.get("console_log", ()), *tables.get("network_request", ())][::-1]


@pytest.mark.parametrize(
    ("tag", "payload", "found"),
    [
        ("console", {"level": "error", "args": ["a", {"b": 1}]}, {"level": "error", "args": '["a",{"b":1}]'}),
        ("console", {"level": "WARN", "message": "hey"}, {"level": "warn", "args": '["hey"]'}),
        ("console", {"severity": "info", "payload": ['"a"']}, {"level": "info", "args": '["\\"a\\""]'}),
        ("console", {"level": 5, "x": 1}, {"args": '[{"level":5,"x":1}]'}),
        ("console", "text", {"args": '["text"]'}),
        ("error", {"message": "boom", "stack": "E\\n at a".replace("\\n", "\n"), "line": 3}, {"level": "error", "args": '["boom"]', "trace": ["E", " at a"]}),
        ("error", "boom", {"level": "error", "args": '["boom"]'}),
        ("error", None, {"level": "error", "args": "[null]"}),
        ("error", {"message": "a\0"}, {"level": "error", "rest": '{"args":["a\\u0000"]}'}),
        ("network_request", {"url": "/a", "method": "GET", "status": 404, "durationMs": 12, "own": 1}, {"url": "/a", "method": "GET", "status": 404, "duration": 12.0}),
        ("network_request", {"uri": "/a", "statusCode": 0, "error": "gone", "requestHeaders": {"a": "b"}}, {"url": "/a", "status": 0, "error": "gone", "request_headers": '{"a":"b"}'}),
        ("network_request", {"status": "404"}, {"rest": '{"status":"404"}'}),
    ],
)  # fmt: skip
def test_a_log_of_a_live_session_has_a_row_of_its_own(tag: str, payload: Any, found: dict[str, Any]) -> None:
    assert logs(tag, payload) == [{"position": 0, **found}]


def test_several_requests_have_several_rows() -> None:
    requests = [{"url": "/a"}, 5, {"url": "/b"}]
    rows = [{"position": 0, "url": "/a"}, {"position": 1, "url": "/b"}]
    assert logs("network_request", {"requests": requests}) == logs("network_request", requests) == rows


@pytest.mark.parametrize("payload", ["/a", 5, None, {"requests": 5}])
def test_what_is_no_request_has_none(payload: Any) -> None:
    assert logs("network_request", payload) == []


def test_an_upload_s_own_custom_events_have_none() -> None:
    assert "console_log" not in by_table(decompose(7, custom("console", {"level": "error"})))


_names = st.text() | st.sampled_from(
    ["level", "args", "stack", "message", "requests", "status", "url", "name"]
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just("\ud83d"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=8,
)
_names = st.text() | st.sampled_from(
    ["level", "args", "stack", "message", "requests", "status", "url", "name"]
)


@given(st.sampled_from(list(Tag)) | st.text(), _json)
def test_the_event_comes_back_as_it_was(tag: str, payload: Any) -> None:
    event = custom(tag, payload)
    assert same(recompose(through_postgres(decompose(7, event, live=True))), event)
