"""Ctrl-C and SIGTERM, for a command that has something to finish first."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether somebody wants it to end. Once that is so, `fd` can be read from: whatever waits for it by `select` wakes up."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.is_set = False


@contextmanager
def stop_on_signals(on_stop: Callable[[], None]) -> Iterator[Stop]:
    """Within, the first signal sets the Stop and calls `on_stop`, and the second does what it always does.

    `on_stop` is called in the middle of anything, the writing of a line included.
    """
    read_end, write_end = os.pipe()
    stop = Stop(read_end)

    def hear(number: int, frame: FrameType | None) -> None:
        restore()
        stop.is_set = True
        os.write(write_end, b".")
        on_stop()

    before = {number: signal.signal(number, hear) for number in SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    try:
        yield stop
    finally:
        restore()
        os.close(read_end)
        os.close(write_end)
