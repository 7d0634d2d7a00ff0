"""Lines become events, however they come."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.event_lines import TOLD_MAX, EventLines
from app.unwrapped import BadFile

EVENTS = [b'{"type":4}', b'"x packed"', b'{"a":"\\ud83d"}', '{"é":"\u2028"}'.encode(), b'{"n":[1,{"m":2}]}']
TEXT = b"\xef\xbb\xbf" + b"\r\n\n ".join(EVENTS)


def read(*pieces: bytes) -> tuple[list[bytes], list[str]]:
    """The events of what came in these pieces, and what was told."""
    told: list[str] = []
    lines = EventLines(told.append)
    found = [event for piece in pieces for event in lines.feed(piece)]
    return [*found, *lines.end()], told


@given(st.lists(st.integers(0, len(TEXT)), max_size=8).map(sorted))
def test_it_is_all_one_where_the_pieces_end(cuts: list[int]) -> None:
    edges = [0, *cuts, len(TEXT)]
    pieces = [TEXT[start:end] for start, end in pairwise(edges)]
    assert read(*pieces) == (EVENTS, [])


@pytest.mark.parametrize(
    "line", [b"[]", b"null", b"hello", b'{"a":tru}', b'{"a":1} {"b":2}', b'{"\xff":1}', b"{", b"[" * 9999]
)
def test_what_is_no_event_is_left_out_and_told_by_its_number(line: bytes) -> None:
    found, told = read(b"{}\n\n" + line + b"\n{}\n")
    assert found == [b"{}", b"{}"]
    assert [text.partition(":")[0] for text in told] == ["line 3"]


def test_only_the_first_few_are_told() -> None:
    told: list[str] = []
    lines = EventLines(told.append)
    assert list(lines.feed(b"{}\n" + b"no\n" * 50 + b"{}\n")) == [b"{}", b"{}"]
    assert (lines.left_out, len(told)) == (50, TOLD_MAX)


@pytest.mark.parametrize("start", [b"[{", b" [", b"\x28\xb5\x2f\xfd", b"\n\n\xef\xbb\xbf["])
def test_something_else_is_refused_before_its_first_line_ends(start: bytes) -> None:
    lines = EventLines(lambda _: None)
    with pytest.raises(BadFile, match=r"line [13]: no JSON object"):
        list(lines.feed(start))
