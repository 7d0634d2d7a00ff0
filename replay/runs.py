"""Runs of neighbours that are handled together, found without a step for each event."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate


def runs(sizes: "array[int]", max_bytes: int) -> Iterator[tuple[int, int]]:
    """`[start:end]` of each run: as many as have `max_bytes` together when commas join them; one that is larger is alone."""
    ends = array("Q", accumulate(map((1).__add__, sizes)))
    start = before = 0
    while start < len(ends):
        end = max(start + 1, bisect_right(ends, before + max_bytes + 1, start))
        yield start, end
        start, before = end, ends[end - 1]
