"""The figures of a recording, its pages, and its warnings."""

import json
from typing import Any

import pytest

from replay.plan import Claims
from replay.summary import HREF_MAX, NAVIGATIONS_MAX
from tests.replay.recordings import META, SCROLL, SNAPSHOT, START_MS, planned, warnings

HOUR_MS = 3_600_000


def event(kind: int, at: float, data: Any = None, **members: Any) -> bytes:
    return json.dumps({"type": kind, "timestamp": START_MS + at, "data": data or {}, **members}).encode()


def increment(source: int, at: float, **data: Any) -> bytes:
    return event(3, at, {"source": source, **data})


START = [META % START_MS, SNAPSHOT % START_MS]


def test_interactions_and_pages_are_counted() -> None:
    summary = planned(
        [
            *START,
            increment(2, 1, type=2),
            increment(2, 2, type=1),
            increment(2, 3, type=2.0),
            increment(2, 3, type=2),
            increment(5, 4),
            increment(3, 5),
            increment(3, 6),
            event(4, 7, {"href": "https://b.example/"}),
        ]
    ).summary
    assert (summary.clicks, summary.inputs, summary.scrolls, summary.pages) == (3, 1, 2, 2)


def test_bytes_by_type_are_named() -> None:
    sent = [*START, increment(0, 1), increment(99, 2), event(77, 3), event(7, 4)]
    summary = planned(sent).summary
    assert summary.bytes_by_type == {
        "asset": len(sent[5]),
        "full_snapshot": len(sent[1]),
        "meta": len(sent[0]),
        "mutation": len(sent[2]),
        "unknown": len(sent[3]) + len(sent[4]),
    }


def test_active_time_is_the_sum_of_short_gaps_between_interactions() -> None:
    done = planned(
        [
            *START,
            increment(1, 0),
            increment(5, 5000),
            increment(0, 6000),
            increment(3, 10_001),
            increment(2, 10_201),
        ]
    )
    assert done.summary.active_ms == 5000 + 200


@pytest.mark.parametrize(
    "error",
    [
        event(6, 1, {"plugin": "rrweb/console@1", "payload": {"level": "error", "payload": ["\ud83d"]}}),
        increment(11, 1, level="error", payload=[]),
    ],
)
def test_console_errors_are_counted(error: bytes) -> None:
    fine = event(6, 1, {"plugin": "rrweb/console@1", "payload": {"level": "log"}})
    other = event(6, 1, {"plugin": "other", "payload": {"level": "error"}})
    odd = event(6, 1, {"plugin": "rrweb/console@1", "payload": ["error"]})
    assert planned([*START, error, error, fine, other, odd]).summary.console_errors == 2


def test_network_errors_are_counted() -> None:
    requests = [{"status": status} for status in (200, 404, 0, 500, None, "404", 399)] + [{"name": "/"}]
    batch = event(6, 1, {"plugin": "rrweb/network@1", "payload": {"requests": requests}})
    assert planned([*START, batch, event(6, 2, {"plugin": "rrweb/network@1"})]).summary.network_errors == 3


def test_logs_beside_the_events_count_too() -> None:
    summary = planned(
        START,
        console_logs=[{"level": "error"}, {"level": "warn"}, {}],
        network_logs=[{"status": 503}, {"status": 201}],
    ).summary
    assert (summary.console_errors, summary.network_errors) == (1, 1)


def test_the_viewport_is_the_first_metas_else_the_first_resize() -> None:
    early = increment(4, -5, width=100, height=50.5)
    viewport = planned([*START, early]).summary.viewport
    assert viewport is not None
    assert (viewport.width, viewport.height) == (1280, 720)
    viewport = planned([SNAPSHOT % START_MS, increment(4, 5, width=9, height=9), early]).summary.viewport
    assert viewport is not None
    assert (viewport.width, viewport.height) == (100, 50.5)


@pytest.mark.parametrize(
    "size", [{}, {"width": "1", "height": 2}, {"width": -1, "height": 2}, {"width": 1e300, "height": 1}]
)
def test_a_viewport_that_is_none_is_none(size: dict[str, Any]) -> None:
    assert planned([event(4, 0, {"href": "https://a.example/", **size})]).summary.viewport is None


def test_navigations_are_what_the_metas_say() -> None:
    done = planned(
        [
            event(4, 100.9, {"href": "https://b.example/"}),
            event(0, 0),
            event(4, 0, {"href": "https://a.example/?x=\0\ud83d"}),
            event(4, 5, {"href": 3}),
        ],
        navigations=[{"url": "the client's", "timestamp_ms": 1}],
    )
    assert [(page.url, page.timestamp_ms) for page in done.navigations] == [
        ("https://a.example/?x=\ufffd\ufffd", 0),
        ("https://b.example/", 100),
    ]
    assert done.summary.pages == 3


def test_navigations_stay_small_however_many_and_long_the_urls_are() -> None:
    done = planned([event(4, at, {"href": "x" * 100_000}) for at in range(NAVIGATIONS_MAX + 5)])
    assert len(done.navigations) == NAVIGATIONS_MAX
    assert {len(page.url) for page in done.navigations} == {HREF_MAX}
    assert done.summary.pages == NAVIGATIONS_MAX + 5


def test_the_duration_is_from_the_first_to_the_last_event() -> None:
    assert planned([META % (START_MS + 500), META % START_MS, event(0, 1500.7)]).duration_ms == 1501


@pytest.mark.parametrize(
    ("recording", "expected"),
    [
        (START, {}),
        ([event(0, -2), event(1, -1), event(6, -1), *START], {}),
        ([SNAPSHOT % START_MS], {"no_meta": 1}),
        ([META % START_MS], {"no_snapshot_at_start": 1}),
        ([increment(0, -2), increment(1, -1), *START], {"no_snapshot_at_start": 2}),
        ([*START, increment(17, 1), event(8, 1)], {"unknown_type": 2}),
        ([*START, event(5, 9), event(5, 3), event(5, 8), event(5, 9)], {"out_of_order": 2}),
        ([*START, event(5, 300_000)], {}),
        ([*START, event(5, 300_001), event(5, 3 * 300_001)], {"gap": 2}),
        ([*START, event(5, 25 * HOUR_MS)], {"clock_jump": 1}),
        ([*START, event(5, 100_000), event(5, 10)], {"clock_jump": 1, "out_of_order": 1}),
    ],
)
def test_what_is_odd_is_warned_about(recording: list[bytes], expected: dict[str, int]) -> None:
    assert warnings(planned(recording)) == expected


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        (Claims(event_count=3), {}),
        (Claims(event_count=5), {"event_count_differs": 2}),
        (Claims(duration_ms=10_000), {}),
        (Claims(duration_ms=12_000), {}),
        (Claims(duration_ms=12_001), {"duration_differs": 1}),
        (Claims(duration_ms=0), {"duration_differs": 1}),
    ],
)
def test_what_the_client_claimed_otherwise_is_warned_about(claims: Claims, expected: dict[str, int]) -> None:
    assert warnings(planned([*START, event(5, 10_000)], claims)) == expected


def test_the_clients_count_is_compared_with_what_was_received() -> None:
    assert warnings(planned([*START, b"{}"], Claims(event_count=3))) == {}


def test_odd_data_in_a_known_event_is_no_reason_to_refuse_it() -> None:
    odd = [
        increment(11, 1, level={"a": 1}),
        event(6, 1, {"plugin": 3}),
        increment(4, 1, width=None),
        SCROLL % (1, 1),
    ]
    assert planned([*START, *odd]).account.rejected == 0
