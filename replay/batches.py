"""The batches of a recording as they were sent, and where in them its events lie."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Raw

from replay.addresses import address


class Batches:
    """Bodies, and the events that were taken from them. Places count events in the order of arrival."""

    def __init__(self, slices: Sequence[Raw]) -> None:
        self._slices = slices
        self._first: list[int] = []  # the place where each batch begins
        self.bodies: list[bytearray] = []

    def add(self, body: bytearray) -> None:
        """From the next place on, events are slices of this body."""
        self._first.append(len(self._slices))
        self.bodies.append(body)

    def begins_at(self, place: int) -> bool:
        return place in self._first

    def locate(self, place: int) -> tuple[bytearray, int, int]:
        """The event is `body[start:end]`."""
        body = self.bodies[bisect_right(self._first, place) - 1]
        event = self._slices[place]
        start = address(event) - address(body)
        return body, start, start + len(memoryview(event))

    def places(self, offsets: Iterable[int]) -> Iterator[int]:
        """The places of the events of the last batch in which these offsets of its body, ascending, lie."""
        place, end = self._first[-1], -1
        for at in offsets:
            if at < end:
                continue
            place = bisect_right(self._slices, at, place, key=self._offset) - 1
            if place < self._first[-1]:
                place = self._first[-1]
                continue
            _, start, end = self.locate(place)
            if start <= at < end:
                yield place

    def _offset(self, event: Raw) -> int:
        return address(event) - address(self.bodies[-1])


def span(body: bytearray, values: Sequence[Raw]) -> tuple[int, int]:
    """The part of a body that holds these slices of it, in their order."""
    if not values:
        return 0, 0
    start, last = address(body), values[-1]
    return address(values[0]) - start, address(last) - start + len(memoryview(last))
