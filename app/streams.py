"""Streams of server-sent events that are open in this process: how many there may be, and an end to all when it stops."""

import asyncio

STREAMS_MAX = 200
"""Each looks at the deck every few seconds: operators who leave pages open keep nothing from anybody."""


class Streams:
    """Counts what is open; `stop` ends it."""

    def __init__(self) -> None:
        self._open = 0
        self._stopping = asyncio.Event()

    def take(self) -> bool:
        """One more; False when there are too many, or this process stops. Whoever has taken one gives it back."""
        if self._open >= STREAMS_MAX or self._stopping.is_set():
            return False
        self._open += 1
        return True

    def give(self) -> None:
        """One less."""
        self._open -= 1

    async def stopped(self, within_s: float) -> bool:
        """Wait so long, or until all are to end: True then."""
        try:
            await asyncio.wait_for(self._stopping.wait(), within_s)
        except TimeoutError:
            return False
        return True

    def stop(self) -> None:
        """End all that are open, and let none begin. Call it in the event loop."""
        self._stopping.set()
