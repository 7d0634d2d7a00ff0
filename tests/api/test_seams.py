"""A part that was cut before is not decoded again, and not everything is remembered for ever."""

import pytest
from msgspec import DecodeError

from app.seams import Seams
from replay.index import Part

ARRAY = b'[{"a":1},{"b":[2]},{}]'
STARTS = [1, 9, 19, 22]
DAMAGED = b"no array"


def part(offset: int) -> Part:
    return Part(offset, 0, 0, len(ARRAY), 3, 0, 0)


def test_a_part_is_looked_through_once() -> None:
    seams = Seams()
    assert list(seams.find("a tape", part(9), ARRAY)) == STARTS
    assert list(seams.find("a tape", part(9), DAMAGED)) == STARTS
    for name, offset in (("a tape", 10), ("another", 9)):
        with pytest.raises(DecodeError):
            seams.find(name, part(offset), DAMAGED)


def test_what_was_not_asked_for_lately_is_forgotten() -> None:
    seams = Seams(most=2)
    for offset in (1, 2, 1, 3):
        seams.find("a tape", part(offset), ARRAY)
    assert list(seams.find("a tape", part(1), DAMAGED)) == STARTS
    with pytest.raises(DecodeError):
        seams.find("a tape", part(2), DAMAGED)
