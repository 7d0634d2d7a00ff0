r"""What a JSON string says beneath its encodings, and where in the string each part of that stands.

A secret may be written with JSON escapes (`\u0041`), once more inside a JSON text that a string holds, and percent-encoded
(RFC 3986, 2.1) in a URL. Each decoding is a `Decoded`: its bytes (UTF-8) and the way back to the bytes it was made from.
"""

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import NamedTuple

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL
)
_PERCENT = re.compile(rb"%[0-9a-fA-F]{2}")
_PLAIN = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"f": b"\f", b"b": b"\b"}
_DEPTH = 4  # of encodings within one another


class Decoded(NamedTuple):
    """`text`, and the way back: pieces of it begin at `starts` and were made from what begins at `origins`.

    Every second piece, from the one at index 1 on, is one encoded character: it has no inside.
    """

    text: bytes
    starts: "array[int]"
    origins: "array[int]"

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The smallest part of the original that holds `text[start:end]`, which is not empty."""
        first = bisect_right(self.starts, start) - 1
        begin = self.origins[first] + (0 if first % 2 else start - self.starts[first])
        last = bisect_right(self.starts, end - 1) - 1
        finish = self.origins[last + 1] if last % 2 else self.origins[last] + end - self.starts[last]
        return begin, finish


class Reading(NamedTuple):
    """One way to read a string, and the span in the string of any part of the text that it reads."""

    text: bytes
    span: Callable[[int, int], tuple[int, int]]


def readings(content: bytes) -> Iterator[Reading]:
    """What stands between the quotes of a JSON string, in every way that it can be read: each decoding of the one before."""
    first = (decode(content, _ESCAPE, _unescaped),) if b"\\" in content else ()
    waiting: list[tuple[bytes, tuple[Decoded, ...]]] = [(first[0].text if first else content, first)]
    seen = set()
    while waiting:
        text, way = waiting.pop()
        if text in seen:
            continue
        seen.add(text)
        yield Reading(text, _way_back(way))
        if len(way) >= _DEPTH:
            continue
        for mark, encoded, plain in ((b"\\", _ESCAPE, _unescaped), (b"%", _PERCENT, _from_percent)):
            if mark in text:
                next_ = decode(text, encoded, plain)
                waiting.append((next_.text, (*way, next_)))


def first_reading(content: bytes) -> bytes:
    """What stands between the quotes of a JSON string, as any reader of JSON reads it."""
    return _ESCAPE.sub(lambda escape: _unescaped(escape[0]), content) if b"\\" in content else content


def decode(text: bytes, encoded: re.Pattern[bytes], plain: Callable[[bytes], bytes]) -> Decoded:
    """`text` with each match of `encoded` replaced by what is `plain`."""
    pieces: list[bytes] = []
    starts, origins = array("Q", [0]), array("Q", [0])
    at = length = 0
    for match in encoded.finditer(text):
        begin, end = match.span()
        character = plain(match[0])
        pieces += (text[at:begin], character)
        length += begin - at
        starts.append(length)
        origins.append(begin)
        length += len(character)
        starts.append(length)
        origins.append(end)
        at = end
    pieces.append(text[at:])
    return Decoded(b"".join(pieces), starts, origins)


def _way_back(way: tuple[Decoded, ...]) -> Callable[[int, int], tuple[int, int]]:
    def span(start: int, end: int) -> tuple[int, int]:
        for decoded in reversed(way):
            start, end = decoded.origin(start, end)
        return start, end

    return span


def _unescaped(escape: bytes) -> bytes:
    if escape[1] == ord("u") and len(escape) > 2:
        units = bytes.fromhex(escape.replace(rb"\u", b"").decode())
        return units.decode("utf-16-be", "replace").encode()
    return _PLAIN.get(escape[1:], escape[1:])


def _from_percent(escape: bytes) -> bytes:
    return bytes([int(escape[1:], 16)])
