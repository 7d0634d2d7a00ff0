"""What the custom events of a live session say counts like rrweb's own."""

import json
from typing import Any

import pytest

from replay.plan import Claims, plan
from replay.summary import HREF_MAX, Summary, Viewport
from tests.replay.live import RRWEB_META, TIME_MS, live, planned
from tests.replay.recordings import MIB, envelope, payload

URL = "https://myapp.example/home?x=1"


def summary(*events: object) -> Summary:
    return planned(events, live=True).summary


def test_what_a_person_does_is_counted() -> None:
    done = summary(
        live("mouse_click", {"x": 1, "y": 2}, TIME_MS),
        live("mouse_move", {"x": 1, "y": 2}, TIME_MS + 1000),
        live("scroll", {"y": 9}, TIME_MS + 2000),
        live("dom_mutation", {}, TIME_MS + 3000),
        live("input", "hello", TIME_MS + 4000),
        live("rrweb", {"type": 3, "data": {"source": 5, "id": 1}, "timestamp": TIME_MS + 5000}, 0),
        live("mouse_click", None, TIME_MS + 11_000),
    )
    assert (done.clicks, done.inputs, done.scrolls, done.pages, done.active_ms) == (2, 2, 1, 0, 5000)


@pytest.mark.parametrize(
    ("data", "url", "led_to"),
    [
        ({"from": "/home", "to": "/checkout"}, URL, "https://myapp.example/checkout"),
        ({"to": "?x=2"}, URL, "https://myapp.example/home?x=2"),
        ({"to": "https://b.example/"}, URL, "https://b.example/"),
        ({"to": "/checkout"}, None, "/checkout"),
        ({"url": "/a"}, URL, "https://myapp.example/a"),
        ({"method": "push"}, URL, URL),
        ({"to": 5}, URL, URL),
        ("/a", URL, "https://myapp.example/a"),
        ('"/a"', URL, "https://myapp.example/a"),
        ({"to": "//[x"}, URL, "//[x"),
        ({"to": "/\ud83d\0"}, URL, "https://myapp.example/\ufffd\ufffd"),
        ({}, None, None),
        ({"to": "/" + "a" * 3000}, None, "/" + "a" * (HREF_MAX - 1)),
    ],
)
def test_a_navigation_is_a_page(data: Any, url: str | None, led_to: str | None) -> None:
    found = planned([live("rrweb", RRWEB_META), live("navigation", data, TIME_MS + 5, url=url)], live=True)
    assert found.summary.pages == 2
    assert [(page.url, page.timestamp_ms) for page in found.navigations] == [
        ("https://x.example/", 0),
        *([(led_to, 5)] if led_to else []),
    ]


def test_errors_are_counted_however_they_are_called() -> None:
    done = summary(
        *(live("console", {"level": level}) for level in ("error", "ERROR", "warn", 5, ["error"])),
        live("console", {"severity": "error"}),
        live("console", "error"),
        live("error", {"message": "boom"}),
        live("error", "boom"),
        *(live("network_request", {"url": "/a", "status": status}) for status in (0, 200, 399, 404, "404", None)),
        live("network_request", {"statusCode": 500, "x": 1.5}),
        live("network_request", '{"status":404,"size":1e999}'),
        live("network_request", {"requests": [{"status": 0}, {"status": 200}, {"status": 500}]}),
        live("network_request", [{"status": 0}, 5]),
        live("network_request", [{"status": 0}]),
        live("network_request", {"status": 500, "requests": []}),
    )  # fmt: skip
    assert (done.console_errors, done.network_errors) == (5, 8)


def test_a_resize_tells_the_viewport_where_nothing_else_does() -> None:
    resized = [
        live("resize", {"width": 9, "height": 9}, TIME_MS + 9),
        live("resize", {"innerWidth": 1280, "innerHeight": 720}, TIME_MS + 1),
        live("resize", {"width": "5", "height": 5}, TIME_MS),
    ]
    assert summary(*resized).viewport == Viewport(1280, 720)
    assert summary(*resized, live("rrweb", RRWEB_META)).viewport == Viewport(800, 600)


@pytest.mark.parametrize("data", [None, [], {}, {"tag": ["input"]}, {"tag": 5}, {"payload": {}}, "x"])
def test_custom_events_of_any_shape_are_no_trouble(data: Any) -> None:
    event = {"type": 5, "data": data, "timestamp": TIME_MS}
    assert planned([live("rrweb", event)], live=True).account.stored == 1


def test_an_upload_s_own_custom_events_say_nothing() -> None:
    event = json.dumps({"type": 5, "data": {"tag": "mouse_click", "payload": {}}, "timestamp": TIME_MS})
    done = plan([payload(envelope([event.encode()]))], Claims(), max_bytes=MIB)
    assert done.summary.clicks == 0
