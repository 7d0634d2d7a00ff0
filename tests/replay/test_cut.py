"""A cut equals the cut of the whole, in every format and encoding, and reads no more than its edges."""

import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from replay import tape
from replay.cut import Body, CorruptPart, Span, cut, whole
from replay.inflate import Truncated
from replay.plan import Claims
from replay.transcode import transcoder
from tests.replay.recordings import (
    META,
    SCROLL,
    SNAPSHOT,
    START_MS,
    Stored,
    decoded,
    events,
    planned,
    stored,
    time_of,
)

Bound = float | None
BOUNDS = st.one_of(st.none(), st.integers(-5, 45), st.integers(-5, 45).map(lambda ms: ms + 0.5))
NEWLINES = bytes.maketrans(b"\r\n", b"  ")


@pytest.fixture(scope="module", autouse=True)
def _small_parts() -> Any:
    """Parts of 300 bytes, so that small recordings have many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tape, "PART_BYTES", 300)
        yield


def assembled(done: Stored, body: Body) -> bytes:
    return b"".join(
        done.object[piece.start : piece.end] if isinstance(piece, Span) else piece for piece in body.pieces
    )


def answer(done: Stored, from_ms: Bound, to_ms: Bound, *, align: bool = False) -> Body:
    wanted = cut(done.index, from_ms=from_ms, to_ms=to_ms, align=align)
    assert len(wanted.spans) <= 2
    body = wanted.body([done.object[span.start : span.end] for span in wanted.spans])
    frame = assembled(done, body)
    assert len(frame) == body.stored_bytes
    assert len(decoded(frame)) == body.json_bytes
    return body


def cut_events(done: Stored, from_ms: Bound, to_ms: Bound, *, align: bool = False) -> Any:
    return json.loads(decoded(assembled(done, answer(done, from_ms, to_ms, align=align))))


def within(recording: list[bytes], from_ms: Bound, to_ms: Bound) -> list[bytes]:
    ordered = sorted(recording, key=time_of)
    zero = time_of(ordered[0])
    low, high = (-1e9 if from_ms is None else from_ms), (1e9 if to_ms is None else to_ms)
    return [event for event in ordered if low <= time_of(event) - zero < high]


@given(st.lists(events(), min_size=1, max_size=40), BOUNDS, BOUNDS)
def test_a_cut_equals_the_cut_of_the_whole(recording: list[bytes], from_ms: Bound, to_ms: Bound) -> None:
    done = stored(planned(recording))
    body = answer(done, from_ms, to_ms)
    array = decoded(assembled(done, body))
    expected = within(recording, from_ms, to_ms)
    assert array.replace(tape.SEPARATOR, b",") == b"[" + b",".join(expected) + b"]"
    lines = through(done, body, "application/x-ndjson", "identity")
    assert lines == b"".join(event.translate(NEWLINES) + b"\n" for event in expected)


@given(st.lists(events(), min_size=1, max_size=40), BOUNDS, BOUNDS)
def test_an_aligned_cut_starts_at_the_meta_before_the_nearest_snapshot(
    recording: list[bytes], from_ms: Bound, to_ms: Bound
) -> None:
    done = stored(planned(recording))
    ordered = [json.loads(event) for event in sorted(recording, key=time_of)]
    zero = ordered[0]["timestamp"]
    low, high = (-1e9 if from_ms is None else from_ms), (1e9 if to_ms is None else to_ms)
    start = next((i for i, event in enumerate(ordered) if event["timestamp"] - zero >= low), len(ordered))
    snapshots = [i for i, event in enumerate(ordered) if event["type"] == 2]
    if snapshots:
        nearest = max((i for i in snapshots if ordered[i]["timestamp"] - zero <= low), default=snapshots[0])
        start = min(start, max((i for i in range(nearest) if ordered[i]["type"] == 4), default=nearest))
    expected = [event for event in ordered[start:] if event["timestamp"] - zero < high]
    assert cut_events(done, from_ms, to_ms, align=True) == expected


def test_an_aligned_cut_plays_on_its_own() -> None:
    recording = [META % 100, SNAPSHOT % 100, *(SCROLL % (i, 101 + i) for i in range(50))]
    recording += [META % 200, SNAPSHOT % 201, *(SCROLL % (i, 202 + i) for i in range(50))]
    done = stored(planned(recording))
    assert [event["type"] for event in cut_events(done, 130, 133, align=True)[:3]] == [4, 2, 3]
    assert cut_events(done, 130, 133, align=True)[0]["timestamp"] == 200
    assert cut_events(done, 99, 102, align=True)[0]["timestamp"] == 100
    assert cut_events(done, 101, 102, align=True)[0]["timestamp"] == 200


def test_parts_inside_a_cut_are_sent_as_they_are_stored() -> None:
    done = stored(planned([SCROLL % (i, i) for i in range(100)]))
    wanted = cut(done.index, from_ms=10, to_ms=90)
    assert len(wanted.spans) == 2
    body = answer(done, 10, 90)
    (span,) = [piece for piece in body.pieces if isinstance(piece, Span)]
    assert (span.start, span.end) == (wanted.whole[0].offset, wanted.whole[-1].end)
    assert len(wanted.whole) > 10


def test_a_cut_at_the_borders_of_parts_reads_nothing_first() -> None:
    done = stored(planned([SCROLL % (i, i) for i in range(100)]))
    parts = done.index.parts
    assert cut(done.index, from_ms=parts[2].first_time, to_ms=parts[7].first_time).spans == []
    assert cut(done.index).spans == []


def test_the_whole_is_one_span() -> None:
    done = stored(planned([SCROLL % (i, i) for i in range(100)]))
    body = whole(done.index)
    assert assembled(done, body) == done.frame
    assert body.json_bytes == len(decoded(done.frame))


@pytest.mark.parametrize(
    ("from_ms", "to_ms"), [(1000, None), (None, 0), (5, 5), (9, 3), (50.2, 50.8), (-9, -1)]
)
def test_a_cut_without_events_is_an_empty_array(from_ms: Bound, to_ms: Bound) -> None:
    done = stored(planned([SCROLL % (i, START_MS + i) for i in range(100)]))
    assert cut_events(done, from_ms, to_ms) == []


def test_a_tape_without_events_can_be_cut() -> None:
    done = stored(planned([], Claims(video=True), has_video=True))
    assert cut_events(done, 0, 1, align=True) == []


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b"x" + b[1:], lambda _: b""])
def test_an_edge_that_is_not_what_was_stored_is_refused(damage: Callable[[bytes], bytes]) -> None:
    done = stored(planned([SCROLL % (i, i) for i in range(100)]))
    wanted = cut(done.index, from_ms=1)
    (span,) = wanted.spans
    with pytest.raises(CorruptPart):
        wanted.body([damage(done.object[span.start : span.end])])


def through(done: Stored, body: Body, media_type: str, encoding: str, chunk_bytes: int = 50) -> bytes:
    stored_bytes = assembled(done, body)
    making = transcoder(body, media_type, encoding)
    made = [
        piece
        for at in range(0, len(stored_bytes), chunk_bytes)
        for piece in making.feed(stored_bytes[at : at + chunk_bytes])
    ]
    return b"".join([*made, *making.finish()])


@pytest.mark.parametrize("chunk_bytes", [1, 50, 100_000])
@pytest.mark.parametrize("media_type", ["application/json", "application/x-ndjson"])
def test_each_encoding_says_the_same(media_type: str, chunk_bytes: int) -> None:
    recording = [SCROLL % (i, i) for i in range(100)]
    done = stored(planned(recording))
    body = answer(done, 10, 90)
    plain = through(done, body, media_type, "identity", chunk_bytes)
    zipped = through(done, body, media_type, "gzip", chunk_bytes)
    assert zlib.decompress(zipped, 16 + zlib.MAX_WBITS) == plain
    stored_again = through(done, body, media_type, "zstd", chunk_bytes)
    assert zstandard.ZstdDecompressor().decompressobj().decompress(stored_again) == plain
    rows = (
        json.loads(plain) if media_type == "application/json" else list(map(json.loads, plain.splitlines()))
    )
    assert rows == [json.loads(event) for event in recording[10:90]]


def test_lines_hold_no_newline_but_their_own() -> None:
    event = b'{"type":5,\r\n"timestamp":1,\n"data":"\xe2\x80\xa8 \\n \\ud83d"\r}'
    done = stored(planned([event, event]))
    lines = through(done, whole(done.index), "application/x-ndjson", "identity")
    assert lines == (event.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n") * 2


@pytest.mark.parametrize("media_type", ["application/json", "application/x-ndjson"])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_missing_bytes_end_in_an_error(media_type: str, encoding: str) -> None:
    done = stored(planned([SCROLL % (i, i) for i in range(100)]))
    making = transcoder(whole(done.index), media_type, encoding)
    list(making.feed(done.frame[:500]))
    with pytest.raises(Truncated):
        list(making.finish())
