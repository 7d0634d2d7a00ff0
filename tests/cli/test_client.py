"""The client's patience, and what it makes of answers."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from uuid import UUID

import pytest
import zstandard

from app.client import Client, Refused, Unreachable
from app.embedded.places import free_port
from app.live_upload import LiveUpload
from app.recording_file import Upload
from tests.cli.scripted import LOST, Answer, serving

ID = UUID("01990000-0000-7000-8000-000000000000")
UPLOAD = Upload(zstandard.compress(b'{"events":[]}'), 13, 0, "send-1")
CREATED = Answer(201, body=json.dumps({"id": str(ID), "status": "uploading"}).encode())
EMPTY_PAGE = Answer(body=b'{"recordings":[],"next_cursor":null}')


def is_now(status: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(200, named, json.dumps({"id": str(ID), "status": status}).encode())


def problem(status: int, code: str, detail: str, *errors: tuple[str, str], **headers: str) -> Answer:
    body = {"type": "about:blank", "title": "No", "status": status, "detail": detail, "code": code}
    if errors:
        body["errors"] = [{"field": field, "message": message} for field, message in errors]
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"Content-Type": "application/problem+json"} | named, json.dumps(body).encode())


class Waits(list[tuple[str, float]]):
    """What a client said while it waited."""

    def __call__(self, reason: str, seconds: float) -> None:
        self.append((reason, seconds))


@pytest.fixture
def waits() -> Waits:
    return Waits()


def connect(url: str, waits: Waits, patience_s: float = 30) -> Client:
    return Client(url, "tdk_x", patience_s=patience_s, on_wait=waits)


def quiet(sent: int) -> None:
    pass


def test_an_answer_that_got_lost_is_asked_for_again_with_the_same_key_and_body(waits: Waits) -> None:
    with serving(LOST, CREATED) as (url, asked), connect(url, waits) as client:
        assert client.create(UPLOAD, quiet).id == ID
    assert [request.body for request in asked] == [UPLOAD.body, UPLOAD.body]
    assert {request.headers["idempotency-key"] for request in asked} == {"send-1"}
    assert {request.headers["content-encoding"] for request in asked} == {"zstd"}
    assert len(waits) == 1


def test_a_replayed_answer_is_told_apart(waits: Waits) -> None:
    replayed = CREATED._replace(headers={"Idempotency-Replayed": "true"})
    with serving(CREATED, replayed) as (url, _), connect(url, waits) as client:
        assert [client.create(UPLOAD, quiet).replayed for _ in range(2)] == [False, True]


def test_progress_counts_the_body_to_its_end(waits: Waits) -> None:
    body = bytes(200_000)
    heard: list[int] = []
    with serving(CREATED) as (url, _), connect(url, waits) as client:
        client.create(UPLOAD._replace(body=body), heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == len(body)


def test_a_deck_that_is_not_there_yet_is_waited_for() -> None:
    port = free_port()
    with ExitStack() as stack:
        waits: list[str] = []

        def on_wait(reason: str, seconds: float) -> None:
            if not waits:
                stack.enter_context(serving(EMPTY_PAGE, port=port))
            waits.append(reason)

        with Client(f"http://127.0.0.1:{port}", "tdk_x", patience_s=30, on_wait=on_wait) as client:
            assert list(client.recordings({}, 1)) == []
    assert f"http://127.0.0.1:{port}" in waits[0]
    assert "refused" in waits[0]


@pytest.mark.parametrize(
    ("busy", "reason"),
    [
        (problem(429, "rate_limited", "Slow down.", Retry_After="0"), "Slow down."),
        (problem(408, "request_timeout", "The body stopped.", Retry_After="0"), "The body stopped."),
        (problem(503, "overloaded", "Too much at once.", Retry_After="0"), "Too much at once."),
        (Answer(503, {"Retry-After": "Sat, 02 May 2020 10:00:00 GMT"}), "503 Service Unavailable"),
        (problem(409, "idempotency_in_progress", "Still at it.", Retry_After="0"), "Still at it."),
    ],
)
def test_a_busy_deck_is_asked_again_when_it_says(busy: Answer, reason: str, waits: Waits) -> None:
    with serving(busy, busy, CREATED) as (url, _), connect(url, waits) as client:
        assert client.create(UPLOAD, quiet).id == ID
    assert waits == [(reason, 0), (reason, 0)]


def test_a_deck_that_is_busy_for_longer_than_we_may_wait_is_given_up_at_once(waits: Waits) -> None:
    with (
        serving(problem(503, "overloaded", "Too much at once.", Retry_After="3600")) as (url, _),
        connect(url, waits) as client,
        pytest.raises(Unreachable, match="Too much at once"),
    ):
        client.recording(ID)
    assert waits == []


def test_after_an_outage_that_was_too_long_the_next_request_does_not_wait_again(waits: Waits) -> None:
    with connect(f"http://127.0.0.1:{free_port()}", waits, patience_s=0.5) as client:
        with pytest.raises(Unreachable):
            client.recording(ID)
        waits.clear()
        with pytest.raises(Unreachable):
            list(client.recordings({}, 1))
    assert len(waits) <= 1


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        (
            problem(
                400, "validation_error", "x", ("events[3]", "must be an object"), ("name", "is too long")
            ),
            "validation_error",
            "events[3]: must be an object; name: is too long",
        ),
        (problem(401, "unauthorized", "Who are you?"), "unauthorized", "Who are you? (is the API key right?"),
        (
            problem(422, "idempotency_key_reused", "Used."),
            "idempotency_key_reused",
            "Used. (send it with --again)",
        ),
        (Answer(413, body=b"<html>"), "http_413", "413 Request Entity Too Large (send it in parts"),
        (Answer(301, {"Location": "https://deck.example/"}), "http_301", "moved to https://deck.example/"),
        (Answer(200, body=b"<html>"), "not_a_deck", "does not answer like a deck"),
        (Answer(200, body=b"[]"), "not_a_deck", "does not answer like a deck"),
    ],
)
def test_a_no_is_one_line_that_names_the_field_and_the_way_out(
    answer: Answer, code: str, message: str, waits: Waits
) -> None:
    with serving(answer) as (url, _), connect(url, waits) as client, pytest.raises(Refused) as caught:
        client.recording(ID)
    assert caught.value.code == code
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_chunk_that_got_no_answer_is_sent_again_as_it_was(waits: Waits) -> None:
    opened: list[tuple[UUID, bool]] = []
    busy = problem(503, "overloaded", "Too much at once.", Retry_After="0")
    with (
        serving(CREATED, LOST, busy, Answer(202), Answer(202)) as (url, asked),
        connect(url, waits) as client,
    ):
        upload = LiveUpload(client, "live", None, lambda *what: opened.append(what))
        upload.send([b'{"type":4}', b'{"type":2}'])
        upload.send([b'{"type":3}'])
    assert (opened, upload.ids, upload.events, upload.chunks) == ([(ID, False)], [ID], 3, 2)
    first, *again, second = [zstandard.decompress(request.body) for request in asked[1:]]
    assert again == [first, first]
    assert first == b'{"seq":0,"events":[{"type":4},{"type":2}]}'
    assert second == b'{"seq":1,"events":[{"type":3}]}'


def test_a_fresh_recording_that_takes_nothing_is_not_followed_by_another(waits: Waits) -> None:
    closed = problem(409, "recording_closed", "This recording takes no more chunks.")
    with serving(CREATED, closed) as (url, asked), connect(url, waits) as client:
        with pytest.raises(Refused, match="no more chunks"):
            LiveUpload(client, None, None, lambda *_: None).send([b"{}"])
        assert len(asked) == 2


def test_following_ends_with_the_terminal_status(waits: Waits) -> None:
    held = {"Preference_Applied": "wait=20"}
    answers = (is_now("uploading", **held), is_now("processing", Retry_After="0"), is_now("ready"))
    with serving(*answers) as (url, asked), connect(url, waits) as client:
        assert [recording["status"] for recording in client.follow(ID)] == [
            "uploading",
            "processing",
            "ready",
        ]
    assert {request.headers["prefer"] for request in asked} == {"wait=20"}


def test_following_survives_a_restart_of_the_deck(waits: Waits) -> None:
    with (
        serving(is_now("uploading", Retry_After="0"), LOST, is_now("failed")) as (url, _),
        connect(url, waits) as client,
    ):
        assert [recording["status"] for recording in client.follow(ID)] == ["uploading", "failed"]
    assert len(waits) == 1


@pytest.mark.parametrize("coding", [{}, {"Content-Encoding": "zstd"}])
def test_events_that_break_off_are_an_error_not_an_end(coding: dict[str, str], waits: Waits) -> None:
    whole = b"[" + b"7," * 50_000 + b"7]"
    body = zstandard.compress(whole) if coding else whole

    def got() -> Iterator[bytes]:
        with client.events(ID, {}, ndjson=False) as chunks:
            yield from chunks

    with (
        serving(Answer(200, coding, body), Answer(200, coding, body, cut=10)) as (url, _),
        connect(url, waits) as client,
    ):
        assert b"".join(got()) == whole
        with pytest.raises(Unreachable, match="broke off"):
            list(got())


def test_a_cut_is_asked_for_by_its_parameters(waits: Waits) -> None:
    with (
        serving(Answer(200, body=b"{}\n")) as (url, asked),
        connect(url, waits) as client,
        client.events(ID, {"from_ms": "5", "align": "snapshot"}, ndjson=True) as chunks,
    ):
        assert b"".join(chunks) == b"{}\n"
    assert asked[0].path == f"/api/v1/recordings/{ID}/events?from_ms=5&align=snapshot"
    assert asked[0].headers["accept"] == "application/x-ndjson"
    assert asked[0].headers["authorization"] == "Bearer tdk_x"
