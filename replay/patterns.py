"""A project's own regular expressions, applied to every string of a JSON text that is not structure."""

import re
from collections.abc import Callable, Sequence

from replay.decoded import readings
from replay.fill import fill
from replay.privacy import Pattern, compile_pattern

# A string, and the name of the member whose value it is, if it is one.
_STRING = re.compile(
    rb'"(?P<name>[^"\\]*+(?:\\.[^"\\]*+)*+)"\s*+:(?:\s*+"(?P<value>[^"\\]*+(?:\\.[^"\\]*+)*+)")?'
    rb'|"(?P<element>[^"\\]*+(?:\\.[^"\\]*+)*+)"',
    re.DOTALL,
)
# Without these a page has no shape.
_STRUCTURE = frozenset(
    {b"tagName", b"type", b"class", b"id", b"for", b"rel", b"style", b"_cssText", b"plugin", b"tag", b"level"}
)


class Patterns:
    """Compiled patterns. Raises re2.error."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._patterns = [(f"pattern:{one.name}", compile_pattern(one.pattern)) for one in patterns]

    def mask(self, text: bytearray, start: int, end: int, found: Callable[[str, int], None]) -> None:
        """Mask what they match in the strings of `text[start:end]`, whole values of a JSON text."""
        if not self._patterns:
            return
        for string in _STRING.finditer(text, start, end):
            group = "element" if string["element"] is not None else "value"
            if string[group] and string["name"] not in _STRUCTURE:
                self._mask_string(text, string.start(group), string[group], found)

    def _mask_string(
        self, text: bytearray, at: int, content: bytes, found: Callable[[str, int], None]
    ) -> None:
        for reading in readings(content):
            for rule, pattern in self._patterns:
                for match in pattern.finditer(reading.text):
                    if match.start() == match.end():
                        continue
                    begin, end = reading.span(*match.span())
                    if fill(text, at + begin, at + end):
                        found(rule, at + begin)
