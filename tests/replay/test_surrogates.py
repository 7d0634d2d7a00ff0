"""Unpaired surrogates are found wherever they stand, and texts are as before when they were mended."""

import json

from hypothesis import given
from hypothesis import strategies as st

from replay.surrogates import mended, unpaired

PIECES = st.sampled_from(
    [
        b"a",
        b"\\\\",
        b"\\n",
        b"\\u00e9",
        b"\\ud83d",
        b"\\uDE00",
        b"\\ud83d\\ude00",
        b"\\\\ud83d",
        b"\\uD83D\\\\uDE00",
    ]
)
TEXTS = st.lists(PIECES, max_size=12).map(b"".join)


@given(TEXTS, st.integers(4070, 4100), TEXTS)
def test_they_are_found_however_far_from_the_start(before: bytes, distance: int, after: bytes) -> None:
    start = len(before) + distance
    found = [*unpaired(before), *(start + place for place in unpaired(after))]
    assert list(unpaired(before + b"x" * distance + after)) == found


@given(TEXTS)
def test_those_are_found_that_a_reader_sees(text: bytes) -> None:
    seen = [char for char in json.loads(b'"' + text + b'"') if 0xD800 <= ord(char) <= 0xDFFF]
    assert len(unpaired(text)) == len(seen)
    buffer = bytearray(text)
    with mended(buffer) as found:
        assert found == bool(seen)
        json.loads(b'"' + buffer + b'"').encode()
    assert buffer == text
