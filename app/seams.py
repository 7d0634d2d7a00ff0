"""Where the events of the parts that were cut last begin: who plays a recording window by window cuts a part again and again."""

from collections import OrderedDict
from threading import Lock

from replay.cut import Starts, event_starts
from replay.index import Part

MOST = 128  # of 5 kB each; 400 kB at worst


class Seams:
    """Remembers a part's event starts. Tapes never change. For any number of threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: OrderedDict[tuple[str, int], Starts] = OrderedDict()
        self._lock = Lock()

    def find(self, tape_name: str, part: Part, array: bytes) -> Starts:
        """The event starts of a part whose JSON array this is. Raises msgspec.DecodeError."""
        key = tape_name, part.offset
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        starts = event_starts(array)
        with self._lock:
            self._known[key] = starts
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return starts
