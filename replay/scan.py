"""Masking a JSON text in place: one search over its bytes finds where a secret may stand; only those strings are read.

The search is one pass of RE2 over the whole text and costs a fraction of compressing it. Around each place that it finds,
the string that holds it is read in every way that it can be decoded (`replay.decoded`), and what is secret in it
(`replay.detect`) is overwritten (`replay.fill`). A member whose name says that its value is secret is masked whole.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import re2

from replay.cards import CANDIDATE
from replay.decoded import first_reading, readings
from replay.detect import ESCAPED_NAME, Detector
from replay.fill import fill, fill_value

Found = Callable[[str, int], None]  # hears the rule by which something was masked, and where in the text
Marked = Callable[[int, bytes], None]  # hears where a mark stands, and what it is

_SEARCH_MEMORY = 8 << 20  # bytes, for the automaton; without it the search would be slow
_NAME_MAX = 200  # bytes, of a name that may say that a value is secret
_BEFORE_BYTES = 4096  # how far back a name, or a value before its name, may begin
# What `replay.unpack` reads: the first two bytes of zlib (RFC 1950) or gzip (RFC 1952) as latin-1 characters.
_PACKED = re.compile(rb"x(?:\xc2\x9c|\xc3\x9a|\\u009[cC]|\\u00[dD][aA])|\\u001[fF](?:\xc2\x8b|\\u008[bB])")
_CANDIDATE = re.compile(CANDIDATE)
_STRING_END = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_BETWEEN_STRINGS = re.compile(rb"\s*[,:\]}][\s,:\[\]{}0-9eE+.truefalsn-]*\Z")
_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_COLON = re.compile(rb"\s*:\s*")
_MEMBERS = (
    rb'(?:\s*,\s*"[^"\\]*+"\s*:\s*(?:"[^"\\]*+"|[a-z0-9.]++)){0,3}?\s*,\s*'  # that stand between the two
)
_VALUE_AFTER = re.compile(_MEMBERS + rb'"values?"\s*:\s*')
_VALUE_BEFORE = re.compile(rb'"value"\s*:\s*(?=")(?P<at>"[^"\\]*+(?:\\.[^"\\]*+)*+")' + _MEMBERS, re.DOTALL)
_STRING_AFTER = re.compile(rb'\s*,\s*(?=")')
_NAME_MEMBERS = frozenset({b"name", b"key", b"header"})
_IDENTIFIER = re.compile(rb"(?i:\A(?:u?u?id|for|class)\Z|[_.:-]u?u?id\Z)|[a-z0-9](?:Id|ID|Uuid|UUID)\Z")
_IDENTIFIER_BEFORE = re.compile(
    rb"""(?:(?i:(?:^|[^a-z])(?:[a-z]+[_-])?u?u?id)|[a-z0-9](?:Id|ID|Uuid|UUID))(?:[=:/]|["']\s*:\s*["']?)\Z"""
)


class Token(NamedTuple):
    """A string in a JSON text: what stands between its quotes is `text[start:end]`."""

    start: int
    end: int


class Scanner:
    """Masks secrets in JSON texts. `marks` are regular expressions of further things to look for in the same pass."""

    def __init__(self, detector: Detector, marks: Sequence[bytes] = ()) -> None:
        self._detector = detector
        options = re2.Options()
        options.max_mem, options.log_errors = _SEARCH_MEMORY, False
        triggers = detector.triggers
        wanted = [b"(?:%b)" % one for one in (*triggers, *marks)]
        self._search = re2.compile(b"|".join(wanted), options) if wanted else None
        self._trigger = re.compile(b"|".join(wanted[: len(triggers)])) if triggers else None
        self._mark = (
            re2.compile(b"|".join((*wanted[len(triggers) :], ESCAPED_NAME)), options) if marks else None
        )

    def mask(self, text: bytearray, start: int, end: int, found: Found, marked: Marked) -> None:
        """Mask every secret in `text[start:end]`, whole values of a JSON text."""
        at = outside = start  # `outside` of every string
        while self._search and (match := self._search.search(text, at, end)):
            start, at = match.span()
            hit = bytes(text[start:at])
            if self._trigger is None or not self._trigger.search(hit):
                marked(start, hit)
                continue
            if _CANDIDATE.match(hit):
                start = next(i for i in range(start, at) if text[i] in b"23456")
                if not _in_string(text, start, outside):
                    outside = start
                    continue
            token = _string_around(text, start)
            if self._mark:
                for mark in self._mark.finditer(text, start, token.end + 1):
                    marked(mark.start(), mark[0])
            at = outside = max(at, self._mask_string(text, token, found))

    def _mask_string(self, text: bytearray, token: Token, found: Found) -> int:
        """Mask what is secret in a string, and what its being there says is secret. Returns where the next one may begin."""
        content, after = _content(text, token), token.end + 1
        if _PACKED.match(content):
            return after
        for reading in readings(content):
            for start, end, rule in self._detector.secrets(reading.text):
                if rule == "card_number" and _is_identifier(
                    text, token, reading.text[max(0, start - _NAME_MAX) : start]
                ):
                    continue
                begin, finish = reading.span(start, end)
                if fill(text, token.start + begin, token.start + finish):
                    found(rule, token.start + begin)
        if len(content) > _NAME_MAX:
            return after
        name = first_reading(content).decode("utf-8", "replace")
        named = self._detector.member_rule(name)
        value = _value_of(text, token, header=named == "header") if named else None
        if named is None or value is None:
            return after
        end, changed = fill_value(text, value)
        for _ in range(changed):
            found(named, value)
        return max(after, end)


def _string_around(text: bytearray, at: int) -> Token:
    """The string of which `text[at]` is a part."""
    quote = text.rfind(b'"', 0, at)
    while _is_escaped(text, quote):
        quote = text.rfind(b'"', 0, quote)
    end = _STRING_END.match(text, quote + 1)
    return Token(quote + 1, end.end() - 1 if end else len(text))


def _is_escaped(text: bytearray, at: int) -> bool:
    begin = at
    while begin and text[begin - 1] == ord("\\"):
        begin -= 1
    return (at - begin) % 2 == 1


def _in_string(text: bytearray, at: int, outside: int) -> bool:
    """Whether `text[at]`, a digit, is part of a string rather than of a number; `outside` is outside of strings."""
    quote = text.rfind(b'"', outside, at)
    if quote < 0:
        return False
    if not _is_escaped(text, quote) and not _BETWEEN_STRINGS.match(text, quote + 1, at):
        return True  # between two strings there are only punctuation, numbers and literals
    return _ESCAPED.sub(b"", text[outside:at]).count(b'"') % 2 == 1


def _value_of(text: bytearray, name: Token, *, header: bool) -> int | None:
    """Where the value begins that a name stands for: its member's, its neighbour's in `{"name": …, "value": …}`, the
    next one's in a list of pairs or, as Node gives headers, in a flat list."""
    after, before = name.end + 1, _without_space(text, name.start - 1)
    if colon := _COLON.match(text, after):
        return colon.end()
    if (member := _name_before(text, before)) and _content(text, member).lower() in _NAME_MEMBERS:
        if value := _VALUE_AFTER.match(text, after):
            return value.end()
        end = member.start - 1
        start = text.rfind(b'"value"', max(0, end - _BEFORE_BYTES), end)
        earlier = _VALUE_BEFORE.fullmatch(text, start, end) if start >= 0 else None
        return earlier.start("at") if earlier else None
    if text[before - 1] in (b"[," if header else b"[") and (following := _STRING_AFTER.match(text, after)):
        return following.end()
    return None


def _is_identifier(text: bytearray, token: Token, before: bytes) -> bool:
    """Whether a number in a string is an id, by the name of the member or by what stands before it."""
    if _IDENTIFIER_BEFORE.search(before):
        return True
    member = _name_before(text, _without_space(text, token.start - 1))
    return member is not None and _IDENTIFIER.search(_content(text, member)) is not None


def _name_before(text: bytearray, colon: int) -> Token | None:
    """The name whose colon is the last character before this place."""
    if text[colon - 1] != ord(":"):
        return None
    end = _without_space(text, colon - 1) - 1
    start = text.rfind(b'"', max(0, end - _NAME_MAX), end)
    return Token(start + 1, end) if text[end] == ord('"') and start >= 0 else None


def _without_space(text: bytearray, end: int) -> int:
    """Where what stands before the white space before `end` ends."""
    start = max(0, end - _BEFORE_BYTES)
    return start + len(text[start:end].rstrip())


def _content(text: bytearray, token: Token) -> bytes:
    return bytes(text[token.start : token.end])
