"""Playing order: by time, and where times are equal, as the events came."""

from array import array
from collections.abc import Sequence
from itertools import islice
from operator import le


def is_sorted(times: "array[float]") -> bool:
    return all(map(le, times, islice(times, 1, None)))


def playing_order(times: "array[float]") -> Sequence[int]:
    """The places of the events, in the order in which they play."""
    return range(len(times)) if is_sorted(times) else sorted(range(len(times)), key=times.__getitem__)
