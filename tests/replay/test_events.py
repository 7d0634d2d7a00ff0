"""Heads: read together or one by one, they are the same."""

import msgspec
import pytest
from hypothesis import given
from msgspec import Raw

from replay import surrogates
from replay.events import Rejected, read_head, read_heads
from tests.replay.recordings import META, SCROLL, SNAPSHOT, recordings
from tests.replay.test_plan import DEFECTIVE


def raw(events: list[bytes]) -> list[Raw]:
    text = bytearray(b"[%b]" % b",".join(events))
    return surrogates.decode(msgspec.json.Decoder(list[Raw]), text)


@given(recordings)
def test_events_read_together_have_the_heads_that_they_have_alone(events: list[bytes]) -> None:
    heads = read_heads(raw(events))
    if heads is None:  # an unusual one is among them
        return
    alone = [read_head(event) for event in raw(events)]
    assert list(heads.kinds) == [head.kind for head in alone]
    assert list(heads.times) == [head.time for head in alone]
    assert all(head.cv is None for head in alone)


def test_usual_events_are_read_together() -> None:
    click = b'{"type":3,"data":{"source":2,"type":2,"id":1},"timestamp":4}'
    heads = read_heads(raw([META % 1, SNAPSHOT % 2, SCROLL % (0, 3), click]))
    assert heads is not None
    assert (list(heads.kinds), list(heads.times), heads.detail(3)) == ([4, 2, 35, 34], [1, 2, 3, 4], 2)


def test_one_that_must_be_refused_is_never_read_together_with_others() -> None:
    for event, reason in DEFECTIVE:
        assert read_heads(raw([META % 1, event])) is None, reason
        if event.startswith(b"{"):
            with pytest.raises(Rejected, match=f"^{reason}$"):
                read_head(raw([event])[0])
