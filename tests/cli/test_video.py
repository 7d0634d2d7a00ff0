"""`tapedeck send --video` and `tapedeck video`: a video goes straight to storage, and comes straight from there."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app.client import Refused
from tests import fixtures
from tests.cli.conftest import Tapedeck
from tests.cli.scripted import LOST, Answer, serving
from tests.cli.test_client import ID, Waits, connect, problem, quiet
from tests.deck import Deck

Against = Callable[..., Tapedeck]
LOGIN = fixtures.RECORDINGS / "login.json"
VIDEO = fixtures.FOLDER / "videos" / "vp9-opus.webm"


@pytest.fixture
def waits() -> Waits:
    return Waits()


async def test_a_video_is_sent_with_its_recording_and_comes_back(
    deck: Deck, against: Against, tmp_path: Path
) -> None:
    tapedeck = against(deck)
    sending = ("send", LOGIN, "--video", VIDEO, "--name", "with a video", "--json")
    sent = await tapedeck(*sending)
    assert (sent.status, sent.err) == (0, "")
    recording = sent.lines[0]
    assert (recording["status"], recording["video"]["bytes"]) == ("ready", VIDEO.stat().st_size)
    shown = (await tapedeck("show", recording["id"])).out.decode()
    assert "webm (vp9, opus), with sound" in shown

    target = tmp_path / "video.webm"
    told = await tapedeck("video", recording["id"], "-o", target, "--json")
    assert told.json == {"file": str(target), "bytes": VIDEO.stat().st_size}
    assert target.read_bytes() == VIDEO.read_bytes()
    assert (await tapedeck("video", recording["id"])).out == VIDEO.read_bytes()

    again = (await tapedeck(*sending)).lines[0]
    assert (again["id"], again["replayed"], again["updated_at"]) == (
        recording["id"],
        True,
        recording["updated_at"],
    )
    other = VIDEO.with_name("vp8-short.webm")
    with_another = (await tapedeck("send", LOGIN, "--video", other, "--json")).lines[0]
    assert with_another["id"] != recording["id"]
    assert with_another["video"]["codecs"] == ["vp8", "opus"]


async def test_a_recording_without_a_video_says_so(deck: Deck, against: Against) -> None:
    tapedeck = against(deck)
    recording = (await tapedeck("send", LOGIN, "--name", "no video", "--json")).lines[0]
    said = await tapedeck("video", recording["id"])
    assert (said.status, said.out) == (1, b"")
    assert "no video" in said.err


async def test_a_video_that_is_none_fails_its_recording(deck: Deck, against: Against, tmp_path: Path) -> None:
    page = tmp_path / "page.webm"
    page.write_text("<!doctype html>")
    said = await against(deck)("send", LOGIN, "--video", page, "--name", "a page")
    assert said.status == 1
    assert "video_unreadable" in said.err


async def test_a_video_that_cannot_be_read_sends_nothing(
    deck: Deck, against: Against, tmp_path: Path
) -> None:
    tapedeck = against(deck)
    said = await tapedeck("send", LOGIN, "--video", tmp_path / "none.webm", "--name", "never sent")
    assert said.status == 2
    assert "none.webm" in said.err
    names = [one["name"] for one in (await tapedeck("list", "--limit", 100, "--json")).json["recordings"]]
    assert "never sent" not in names


async def test_a_video_belongs_to_one_file(tapedeck: Tapedeck) -> None:
    said = await tapedeck("send", LOGIN, LOGIN, "--video", VIDEO)
    assert (said.status, said.err.count("\n")) == (2, 1)


async def test_a_file_that_speaks_of_a_video_is_not_waited_for(
    deck: Deck, against: Against, tmp_path: Path
) -> None:
    body = tmp_path / "body.json"
    events = json.loads(LOGIN.read_bytes())
    body.write_text(json.dumps({"started_at": "2026-05-04T10:00:00Z", "has_video": True, "events": events}))
    sent = await against(deck)("send", body, "--json")
    assert (sent.status, sent.lines[0]["has_video"]) == (0, False)


def test_a_put_takes_no_key_along_and_is_repeated_whole(waits: Waits) -> None:
    with (
        serving(LOST, Answer(503), Answer()) as (storage, asked),
        connect("http://127.0.0.1:1", waits) as client,
    ):
        client.put_video(f"{storage}/incoming/x?signature=y", io.BytesIO(b"a video"), 7, quiet)
    assert [request.body for request in asked] == [b"a video"] * 3
    assert {request.path for request in asked} == {"/incoming/x?signature=y"}
    assert all("authorization" not in request.headers for request in asked)
    assert len(waits) == 2


def test_a_url_that_has_expired_is_told_without_talk_of_keys(waits: Waits) -> None:
    expired = problem(403, "bad_url", "The URL has expired.")
    with (
        serving(expired) as (storage, _),
        connect("http://127.0.0.1:1", waits) as client,
        pytest.raises(Refused, match=r"^The URL has expired\.$") as caught,
    ):
        client.put_video(f"{storage}/x", io.BytesIO(b"a video"), 7, quiet)
    assert caught.value.code == "bad_url"


def test_a_fresh_url_is_asked_for_by_id(waits: Waits) -> None:
    fresh = Answer(body=b'{"video_upload_url":"https://storage.example/x","video_upload_expires_at":"2026"}')
    with serving(fresh) as (url, asked), connect(url, waits) as client:
        assert client.video_upload_url(ID) == "https://storage.example/x"
    assert (asked[0].method, asked[0].path) == ("POST", f"/api/v1/recordings/{ID}/video-upload-url")
