"""Heads: read together or one by one, they are the same."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from replay import surrogates
from replay.events import Heads, Rejected, read_head, read_heads
from tests.replay.recordings import META, SCROLL, SNAPSHOT, recordings
from tests.replay.test_plan import DEFECTIVE

NESTED = {"type": 9, "source": 9, "cv": "2024-10", "data": {"source": 9}, "timestamp": 7}
PADDING = ['},"timestamp":7}' * 200, NESTED]


def raw(events: list[bytes]) -> list[Raw]:
    text = bytearray(b"[%b]" % b",".join(events))
    return surrogates.decode(msgspec.json.Decoder(list[Raw]), text)


def heads_of(events: list[bytes]) -> Heads | None:
    return read_heads(raw(events), [len(event) for event in events])


@st.composite
def large(draw: st.DrawFn) -> bytes:
    """A large event, most of them as recorders write it, with misleading things inside."""
    inside = draw(st.permutations([("a", PADDING), ("timestamp", 7), ("id", 1), ("type", 2)]))
    data = {**({"source": draw(st.integers(0, 17))} if draw(st.integers(0, 9)) else {}), **dict(inside)}
    members: list[tuple[str, object]] = [("type", draw(st.integers(0, 9))), ("data", data)]
    members += draw(st.sampled_from([[], [], [("delay", {"x": 1})], [("cv", "2024-10")]]))
    members.append(("timestamp", draw(st.sampled_from([5, 5.5, -5, 1e21, "5", {"timestamp": 5}]))))
    if not draw(st.integers(0, 4)):
        members = draw(st.permutations(members))
    return json.dumps(dict(members), separators=draw(st.sampled_from([(",", ":"), (", ", ": ")]))).encode()


@given(st.one_of(recordings, st.lists(large(), min_size=1, max_size=3)))
def test_events_read_together_have_the_heads_that_they_have_alone(events: list[bytes]) -> None:
    heads = heads_of(events)
    if heads is None:  # an unusual one is among them
        return
    alone = [read_head(event) for event in raw(events)]
    assert list(heads.kinds) == [head.kind for head in alone]
    assert list(heads.times) == [head.time for head in alone]
    clicks = [place for place, kind in enumerate(heads.kinds) if kind == 34]
    assert [heads.detail(place) for place in clicks] == [alone[place].detail for place in clicks]
    assert all(head.cv is None for head in alone)


def test_usual_events_are_read_together() -> None:
    click = b'{"type":3,"data":{"source":2,"type":2,"id":1},"timestamp":4}'
    text = b'{"type":3,"data":{"source":0,"texts":["%b"]},"timestamp":5}' % (b"x" * 10_000)
    heads = heads_of([META % 1, SNAPSHOT % 2, SCROLL % (0, 3), click, text])
    assert heads is not None
    assert (list(heads.kinds), list(heads.times), heads.detail(3)) == ([4, 2, 35, 34, 32], [1, 2, 3, 4, 5], 2)


@pytest.mark.parametrize(("event", "reason"), DEFECTIVE)
def test_one_that_must_be_refused_is_never_read_together_with_others(event: bytes, reason: str) -> None:
    assert heads_of([META % 1, event]) is None
    if event.startswith(b"{"):
        with pytest.raises(Rejected, match=f"^{reason}$"):
            read_head(raw([event])[0])
