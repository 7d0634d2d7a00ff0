"""Playing order: by time, and where times are equal, as the events came."""

from array import array
from collections.abc import Sequence
from itertools import islice
from operator import le


def playing_order(times: "array[float]") -> Sequence[int]:
    """The places of the events, in the order in which they play; a range when that is how they came."""
    if all(map(le, times, islice(times, 1, None))):
        return range(len(times))
    return sorted(range(len(times)), key=times.__getitem__)
