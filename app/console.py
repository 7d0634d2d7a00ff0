"""What a deck says on the terminal: a line per line, marked with who says it.

Writing happens in a thread of its own behind a bounded queue: a terminal that is paused, or a pipe that nobody reads,
must not stop the processes whose logs pass through here. Lines that find no room are counted, not kept.
"""

import logging
import queue
import sys
import threading
from typing import TextIO

from rich.console import Console as RichConsole

ROOM = 10_000
NAME_WIDTH = 10
COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)  # of ANSI's "select graphic rendition"
FAREWELL_S = 2.0


class Console:
    """One per process. `close()` at the end."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        rich = RichConsole(file=self._stream)
        self._coloured = rich.is_terminal and not rich.no_color
        self._colours: dict[str, int] = {}
        self._dropped = 0
        self._lines: queue.Queue[str | None] = queue.Queue(ROOM)
        self._writer = threading.Thread(target=self._write, name="console", daemon=True)
        self._writer.start()

    def say(self, name: str, text: str) -> None:
        """Show one line of `name`. Never blocks, never raises."""
        head = f"{name:<{NAME_WIDTH}} |"
        if self._coloured:
            colour = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
            head = f"\x1b[{colour}m{head}\x1b[0m"
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            self.show(f"… {dropped} lines were not shown")
        self.show(f"{head} {text}")

    def show(self, text: str) -> None:
        """Show a line as it is, unmarked. Never blocks, never raises."""
        try:
            self._lines.put_nowait(text)
        except queue.Full:
            self._dropped += 1

    def handler(self, name: str) -> logging.Handler:
        """For the log lines of this process itself."""
        return _Handler(self, name)

    def close(self) -> None:
        """Write what is waiting, as far as somebody reads it."""
        try:
            self._lines.put(None, timeout=FAREWELL_S)
        except queue.Full:
            return
        self._writer.join(FAREWELL_S)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._stream.write(line + "\n")
                if self._lines.empty():
                    self._stream.flush()
            except (OSError, ValueError):  # nobody reads any more: go on, silently
                continue
        try:
            self._stream.flush()
        except (OSError, ValueError):
            return


class _Handler(logging.Handler):
    def __init__(self, console: Console, name: str) -> None:
        super().__init__()
        self._console = console
        self._name = name

    def emit(self, record: logging.LogRecord) -> None:
        self._console.say(self._name, record.getMessage())
