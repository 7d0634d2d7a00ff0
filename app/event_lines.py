"""Lines, as they are being written, become events: a JSON object a line, or a string that holds a packed one.

The last line waits until it is whole. A line that is something else is told with its number, and left out; if that is the
first one, the file is nothing for us.
"""

from collections.abc import Callable, Iterator

import msgspec
from msgspec import Raw

from app.unwrapped import BadFile
from replay import surrogates, utf8

LINE_MAX_BYTES = 512 << 20  # what a deck takes at once, unless set otherwise
TOLD_MAX = 10

_BEGINS = (b"{", b'"')
_BLANK = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
_WANTED = "one rrweb event a line is wanted, uncompressed"

_json = msgspec.json.Decoder(Raw)


class EventLines:
    """The events of what it is fed. `left_out` counts lines that were none; `tell` hears of the first few."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.left_out = 0
        self._tell = tell
        self._number = 0
        self._found_any = False
        self._half = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The events of the lines that end in `data`. Raises BadFile."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._half += line
            whole, self._half = bytes(self._half), bytearray()
            yield from self._event(whole)
        self._half += rest
        if len(self._half) > LINE_MAX_BYTES:
            raise BadFile(f"line {self._number + 1} is longer than {LINE_MAX_BYTES >> 20} MiB")
        if not self._found_any and not _text(bytes(self._half[:8])).startswith((*_BEGINS, _BOM[:1])):
            self._check_first(bytes(self._half))

    def end(self) -> Iterator[bytes]:
        """The event of the last line, if nobody ended it but it is whole. Raises BadFile."""
        last, self._half = bytes(self._half), bytearray()
        yield from self._event(last)

    def _event(self, line: bytes) -> Iterator[bytes]:
        self._number += 1
        event = _text(line)
        if not event:
            return
        fault = _fault(event)
        if fault is None:
            self._found_any = True
            yield event
        elif not self._found_any:
            raise BadFile(f"line {self._number}: {fault}; {_WANTED}")
        else:
            self.left_out += 1
            if self.left_out <= TOLD_MAX:
                more = "; no more such lines are told" if self.left_out == TOLD_MAX else ""
                self._tell(f"line {self._number}: {fault}; it is left out{more}")

    def _check_first(self, begun: bytes) -> None:
        """Whoever gives us an array, or a compressed file, need not wait for the end of its first line."""
        if text := _text(begun):
            raise BadFile(f"line {self._number + 1}: {_fault(text)}; {_WANTED}")


def _text(line: bytes) -> bytes:
    return line.removeprefix(_BOM).strip(_BLANK)


def _fault(event: bytes) -> str | None:
    if not event.startswith(_BEGINS):
        return "no JSON object"
    if (offset := utf8.first_error(event)) is not None:
        return f"invalid UTF-8 at byte {offset}"
    try:
        surrogates.decode(_json, event)
    except msgspec.DecodeError as error:
        return str(error).replace("JSON is malformed", "malformed JSON").replace("Input data", "JSON")
    except RecursionError:
        return "nested too deeply"
    return None
