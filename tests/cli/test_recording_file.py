"""From a file to what is sent."""

import gzip
import io
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from app import recording_file
from app.recording_file import Upload
from app.wrappers import BadFile
from replay.envelope import NAME_MAX, Envelope, decode_upload
from tests import fixtures

NOW = datetime(2026, 5, 4, 10, tzinfo=UTC)
PROJECT = UUID("01990000-0000-7000-8000-000000000000")
LOGIN = fixtures.read("login.json")


def read(content: bytes, **changed: Any) -> Upload:
    given: dict[str, Any] = {
        "name": "x.json",
        "made_at": NOW,
        "title": None,
        "project_id": None,
        "again": False,
    }
    return recording_file.read(io.BytesIO(content), **given | changed)


def body(upload: Upload) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(upload.body)


def envelope(upload: Upload) -> Envelope:
    return decode_upload(body(upload))


@pytest.mark.parametrize("name", fixtures.manifest())
def test_every_fixture_becomes_an_envelope_that_the_api_takes(name: str) -> None:
    upload = read(fixtures.read(name), name=name)
    sent = envelope(upload)
    assert upload.bytes == len(body(upload))
    assert len(sent.events) == sent.event_count == upload.event_count == fixtures.manifest()[name]["events"]
    assert sent.name == name
    assert abs((sent.started_at - datetime(2026, 11, 21, tzinfo=UTC)).days) <= 1


@pytest.mark.parametrize(
    "compress",
    [
        gzip.compress,
        zstandard.compress,
        lambda text: gzip.compress(text[:100]) + gzip.compress(text[100:]),
        lambda text: zstandard.compress(text[:100]) + zstandard.compress(text[100:]),
    ],
)
def test_a_compressed_file_is_the_file(compress: Any) -> None:
    assert read(compress(LOGIN)) == read(LOGIN)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_compressed_file_that_was_cut_is_refused(compress: Any) -> None:
    with pytest.raises(BadFile, match="too early"):
        read(compress(LOGIN)[:-9])


@given(st.lists(st.floats(0, 1e10) | st.integers(0, 10**10), min_size=1))
def test_relative_times_begin_when_the_file_was_made(times: list[float]) -> None:
    events = [{"type": 0, "data": {}, "timestamp": time} for time in times]
    assert envelope(read(json.dumps(events).encode())).started_at == NOW


def test_the_first_event_says_when_the_recording_began() -> None:
    sent = envelope(read(b'[{"type":0,"timestamp":1700000000007.5},{"type":0,"timestamp":1700000000003.25}]'))
    assert sent.started_at == datetime(2023, 11, 14, 22, 13, 20, 3000, UTC)


def test_an_envelope_says_more_than_its_file_and_less_than_the_options() -> None:
    file = (
        b'{"name": "mine", "started_at": "2020-01-01T00:00:00Z", "navigations": [], "events": [{"type": 4}]}'
    )
    sent = envelope(read(file))
    assert (sent.name, sent.started_at) == ("mine", datetime(2020, 1, 1, tzinfo=UTC))
    told = envelope(read(file, title="yours", project_id=PROJECT))
    assert (told.name, told.project_id) == ("yours", PROJECT)


def test_the_same_content_has_the_same_key_however_it_is_compressed() -> None:
    keys = {
        read(content).idempotency_key
        for content in (LOGIN, gzip.compress(LOGIN), zstandard.compress(LOGIN, 19))
    }
    assert len(keys) == 1
    assert len(keys.pop()) <= 255


def test_anything_else_has_another_key() -> None:
    uploads = [
        read(LOGIN),
        read(LOGIN.replace(b"640", b"641")),
        read(LOGIN, title="y"),
        read(LOGIN, project_id=PROJECT),
        read(LOGIN, again=True),
        read(LOGIN, again=True),
    ]
    assert len({upload.idempotency_key for upload in uploads}) == len(uploads)


def test_a_long_name_is_cut_to_what_the_api_takes() -> None:
    assert envelope(read(LOGIN, name="x" * 600)).name == "x" * NAME_MAX


@pytest.mark.parametrize("content", [b"", b"[]", b'{"segment_id": 0}\n[]', b'{"result": {"snapshots": []}}'])
def test_a_file_without_events_is_refused(content: bytes) -> None:
    with pytest.raises(BadFile, match="no events"):
        read(content)
