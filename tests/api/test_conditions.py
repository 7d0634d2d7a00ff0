"""What headers ask for (app.conditions)."""

import pytest

from app.conditions import choose_encoding, choose_media_type, etag_of, matches, wait_seconds

ENCODINGS = ("zstd", "gzip", "identity")
MEDIA_TYPES = ("application/json", "application/x-ndjson")


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        (None, "identity"),
        ("", "identity"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "gzip"),
        ("GZIP", "gzip"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("gzip;q=0.001", "gzip"),
        ("gzip;q=0", "identity"),
        ("zstd;q=0.5, identity", "identity"),
        ("zstd;q=0.5, identity;q=0.5", "zstd"),
        ("br", "identity"),
        ("*", "zstd"),
        ("*;q=0", None),
        ("*;q=0, gzip", "gzip"),
        ("identity;q=0", None),
        ("identity;q=0, br", None),
        ("identity;q=0, gzip;q=0.1", "gzip"),
        ("zstd;q=0, *", "gzip"),
        ("gzip;q=nonsense", "identity"),
        (" zstd ;  q=0.3 , gzip ; q=0.2", "zstd"),
        (";;,,", "identity"),
    ],
)
def test_the_clients_favourite_encoding_is_chosen(accepted: str | None, chosen: str | None) -> None:
    assert choose_encoding(accepted, ENCODINGS) == chosen


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/json;q=0.5, application/x-ndjson", "application/x-ndjson"),
        ("application/x-ndjson;q=0.5, */*", "application/json"),
        ("*/*, application/json;q=0", "application/x-ndjson"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json"),
        ("application/json; charset=utf-8", "application/json"),
        ("text/html", None),
        ("application/json;q=0, text/html", None),
    ],
)
def test_the_clients_favourite_media_type_is_chosen(accepted: str | None, chosen: str | None) -> None:
    assert choose_media_type(accepted, MEDIA_TYPES) == chosen


def test_an_entity_tag_is_matched_weakly_and_whole() -> None:
    tag = etag_of("a", "b")
    assert matches(tag, tag)
    assert matches(f'W/{tag}, "other"', tag)
    assert matches("*", tag)
    assert not matches(None, tag)
    assert not matches('"other"', tag)
    assert not matches(tag.strip('"'), tag)
    assert not matches(tag[:-3] + '"', tag)
    assert etag_of("ab") != etag_of("a", "b")


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, None),
        ("", None),
        ("wait=20", 20),
        ('wait="20"', 20),
        ("respond-async, wait=20;foo=bar", 20),
        ("WAIT = 5", 5),
        ("wait=0", 0),
        ("wait=61", 60),
        ("wait=999999999", 60),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("await=5", None),
        ("foo; wait=5", None),
    ],
)
def test_a_preference_to_wait_is_at_most_a_minute(prefer: str | None, seconds: int | None) -> None:
    assert wait_seconds(prefer) == seconds
